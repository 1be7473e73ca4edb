/* `fractos explain`: the status table for people. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools.h"

static void show(fos_status status)
{
	printf("%s (%d)\n  %s\n  %s\n", fos_status_name(status), (int)status, fos_status_text(status),
		   fos_status_advice(status));
}

/* A status by its name, any case, or by its number. */
static bool find(const char *word, fos_status *out)
{
	char *end;
	if (word[0] < '0' || word[0] > '9')
		return fos_status_parse(word, out);
	unsigned long number = strtoul(word, &end, 10);
	*out = (fos_status)number;
	return *end == 0 && number < FOS_STATUS_COUNT;
}

int command_explain(int argc, char **argv)
{
	fos_status status;
	if (argc == 2 && !strcmp(argv[1], "--help")) {
		puts("usage: fractos explain [STATUS...]\nBy name or number. Without an argument: all of "
			 "them.");
		return 0;
	}
	for (int i = 0; argc == 1 && i < FOS_STATUS_COUNT; i++)
		show((fos_status)i);
	for (int i = 1; i < argc; i++) {
		if (!find(argv[i], &status)) {
			complain("no status \"%s\"; `fractos explain` lists them", argv[i]);
			return 1;
		}
		show(status);
	}
	return 0;
}
