/* Which plant is chosen. In no library but the simulator's own. */
#include "core/plant.h"

enum core_plant core_planted;
