/* The simulator's options as text. */
#ifndef FRACTOS_SIM_OPTIONS_H
#define FRACTOS_SIM_OPTIONS_H

#include "sim/sim.h"

bool options_faults(const char *text, uint32_t *bits); /* "delay,cut", "all", "none" */
void options_faults_text(uint32_t bits, char *out, size_t size);
bool options_check(const struct sim_options *options);
bool options_plant(const char *name); /* false: no such plant, or none in this build */
const char *options_planted(void);    /* NULL: none */

#endif
