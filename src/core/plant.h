/* Known bugs, to prove that the simulator sees them. PLANTED(name) is false in every build that is
 * used; with FRACTOS_PLANTS, which only `fractos-sim --plant` is built with, it asks whether this
 * one is chosen.
 *
 * X(name, guarantee that it breaks, file, what it does) */
#ifndef FRACTOS_CORE_PLANT_H
#define FRACTOS_CORE_PLANT_H

#include <stdbool.h>

/* clang-format off */
#define CORE_PLANTS(X)                                                                             \
	X(skip_generation, "G8", "table.c", "a slot name is taken for the slot's present content")    \
	X(overlap, "G3", "value.c", "refine overwrites what is bound")
/* clang-format on */

#ifdef FRACTOS_PLANTS
enum core_plant {
	CORE_PLANT_NONE,
#define PLANT(name, guarantee, file, text) CORE_PLANT_##name,
	CORE_PLANTS(PLANT)
#undef PLANT
};
extern enum core_plant core_planted;
#define PLANTED(name) (__builtin_expect(core_planted == CORE_PLANT_##name, false))
#else
#define PLANTED(name) false
#endif

#endif
