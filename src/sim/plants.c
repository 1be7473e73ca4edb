/* See plants.h. */
#include <stdio.h>
#include <string.h>

#include "core/plant.h"
#include "sim/plants.h"

static const struct {
	const char *name, *guarantee, *file, *text;
} plants[] = {
#define PLANT(name, guarantee, file, text) {#name, guarantee, file, text},
	CORE_PLANTS(PLANT)
#undef PLANT
};

bool plants_choose(const char *name)
{
#ifdef FRACTOS_PLANTS
	for (unsigned i = 0; i < sizeof plants / sizeof *plants; i++) {
		if (strcmp(plants[i].name, name) == 0) {
			core_planted = (enum core_plant)(i + 1);
			return true;
		}
	}
#else
	(void)name;
#endif
	return false;
}

const char *plants_chosen(void)
{
#ifdef FRACTOS_PLANTS
	if (core_planted != 0)
		return plants[core_planted - 1].name;
#endif
	return NULL;
}

void plants_print(void)
{
	for (unsigned i = 0; i < sizeof plants / sizeof *plants; i++)
		printf("%-24s %-8s %-16s %s\n", plants[i].name, plants[i].guarantee, plants[i].file,
			   plants[i].text);
}
