/* Names and texts of the statuses, from the table in fractos/status.h. */
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include <fractos/status.h>

static const struct {
	const char *name, *text, *advice;
} table[FOS_STATUS_COUNT] = {
#define STATUS_ROW(name, number, text, advice) [number] = {#name, text, advice},
	FOS_STATUS_TABLE(STATUS_ROW)
#undef STATUS_ROW
};

static bool known(fos_status status)
{
	return (unsigned)status < FOS_STATUS_COUNT;
}

const char *fos_status_name(fos_status status)
{
	return known(status) ? table[status].name : "UNKNOWN";
}

const char *fos_status_text(fos_status status)
{
	return known(status) ? table[status].text : "a status that this version does not know";
}

const char *fos_status_advice(fos_status status)
{
	return known(status) ? table[status].advice : "Compare the versions of the two sides.";
}

bool fos_status_parse(const char *name, fos_status *out)
{
	if (strncasecmp(name, "FOS_", 4) == 0)
		name += 4;
	for (unsigned i = 0; i < FOS_STATUS_COUNT; i++) {
		if (strcasecmp(name, table[i].name) == 0) {
			*out = (fos_status)i;
			return true;
		}
	}
	return false;
}
