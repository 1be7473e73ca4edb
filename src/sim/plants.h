/* The plants: known bugs that a build of the core with FRACTOS_PLANTS can be told to have, to prove
 * that the simulator sees them. core/plant.h has the table. */
#ifndef FRACTOS_SIM_PLANTS_H
#define FRACTOS_SIM_PLANTS_H

#include <stdbool.h>

bool plants_choose(const char *name); /* false: no such plant, or none in this build */
const char *plants_chosen(void);      /* NULL: none */
void plants_print(void);              /* name, guarantee, file: one line each */

#endif
