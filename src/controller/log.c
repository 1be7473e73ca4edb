/* Lines of "time node: text" to stderr. A Process or peer that causes many lines costs at most
 * LINES_PER_SECOND of them, and a reader who does not read costs nothing but the lines. */
#include "controller/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LINES_PER_SECOND = 50, LINE_MAX_BYTES = 1024 };

/* Text may hold what a Process or peer sent. */
static void make_printable(char *text)
{
	for (; *text != 0; text++)
		if ((unsigned char)*text < ' ' || (unsigned char)*text > '~')
			*text = '?';
}

static bool may_write(struct log *log, int64_t second)
{
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
	if (second != log->second) {
		log->second = second;
		log->lines = 0;
	}
	return log->lines++ < LINES_PER_SECOND && poll(&out, 1, 0) == 1 && (out.revents & POLLOUT);
}

static void write_line(struct log *log, const char *format, va_list args)
{
	struct timespec now;
	struct tm utc;
	char line[LINE_MAX_BYTES];
	char text[LINE_MAX_BYTES / 2];
	char lost[64] = "";
	clock_gettime(CLOCK_REALTIME, &now);
	if (!may_write(log, now.tv_sec)) {
		log->dropped++;
		return;
	}
	vsnprintf(text, sizeof text, format, args);
	make_printable(text);
	if (log->dropped != 0)
		snprintf(lost, sizeof lost, " (%u lines before this were dropped)", log->dropped);
	gmtime_r(&now.tv_sec, &utc);
	int length = snprintf(line, sizeof line, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s: %s%s\n",
						  utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min,
						  utc.tm_sec, now.tv_nsec / 1000000, log->node, text, lost);
	if (write(STDERR_FILENO, line, (size_t)length) == length)
		log->dropped = 0;
	else
		log->dropped++;
}

void log_line(struct log *log, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	write_line(log, format, args);
	va_end(args);
}

void log_detail(struct log *log, const char *format, ...)
{
	va_list args;
	if (!log->verbose)
		return;
	va_start(args, format);
	write_line(log, format, args);
	va_end(args);
}
