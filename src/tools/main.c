/* The `fractos` command: starts, watches and stops clusters, and runs the main job on one. */
#include <stdio.h>
#include <string.h>

#include "tools.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *text;
} commands[] = {
	{"run", command_run, "verify faces end to end on a cluster (starts one if none is up)"},
	{"up", command_up, "start a cluster of four nodes on this machine"},
	{"down", command_down, "stop it and remove all of its files"},
	{"status", command_status, "nodes, Processes, objects, links and counters"},
	{"restart", command_restart, "stop and start one program: restart NODE/PROGRAM"},
	{"stop", command_restart, "stop one program and keep it stopped"},
	{"start", command_restart, "start a stopped program"},
	{"exec", command_exec, "run a command as a Process of a node: exec NODE COMMAND..."},
	{"explain", command_explain, "what a status means and what to do about it"},
};

static int help(FILE *out)
{
	fputs("usage: fractos COMMAND [OPTION...]\n\n", out);
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		fprintf(out, "  %-8s  %s\n", commands[i].name, commands[i].text);
	fputs("\n`fractos COMMAND --help` tells a command's options. Most take --cluster NAME\n"
		  "(default: faces), so that several clusters can live on one machine.\n",
		  out);
	return out == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return help(stderr);
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
		return help(stdout);
	if (!strcmp(argv[1], "--version")) {
		puts("fractos " FRACTOS_VERSION);
		return 0;
	}
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	complain("no command \"%s\"; `fractos --help` lists them", argv[1]);
	return 2;
}
