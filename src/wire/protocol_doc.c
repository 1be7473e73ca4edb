/* Writes the tables of docs/protocol.md from table.h, or, given that file, says whether its tables
 * are the current ones.
 *
 *     protocol_doc              prints the tables
 *     protocol_doc FILE         exit status 0: FILE holds exactly them
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "wire/wire.h"

struct column {
	const char *name, *type, *check;
};

#define COLUMN(type, name, check) {#name, #type, #check},
#define COLUMNS_END      \
	{                    \
		NULL, NULL, NULL \
	}

/* Offsets follow from the order: natural alignment, and padding is a field. */
static size_t width(const char *type)
{
	return strcmp(type, "label") == 0 ? FOS_LABEL_MAX : (size_t)atoi(type + 1) / 8;
}

static const char *meaning(const char *check)
{
	if (strcmp(check, "ANY") == 0)
		return "";
	if (strcmp(check, "ZERO") == 0)
		return " 0";
	if (strcmp(check, "BOOL") == 0)
		return " 0 or 1";
	if (strcmp(check, "STATUS") == 0)
		return " a status";
	if (strcmp(check, "MIN1") == 0)
		return " not 0";
	if (strcmp(check, "LABEL") == 0)
		return " text";
	return NULL; /* MAX(n) */
}

/* "16 `cap` u64; 24 `once` u32, 0 or 1" */
static void put_fields(FILE *out, const struct column *column, size_t offset)
{
	if (column->name == NULL)
		fputs("none", out);
	for (const char *between = ""; column->name != NULL; column++, between = "; ") {
		const char *words = meaning(column->check);
		fprintf(out, "%s%zu `%s` %s", between, offset, column->name, column->type);
		if (words == NULL)
			fprintf(out, ", at most %d", atoi(column->check + strlen("MAX(")));
		else if (words[0] != 0)
			fprintf(out, ",%s", words);
		offset += width(column->type);
	}
}

static const char *tail_text(const char *tail)
{
	if (strcmp(tail, "ARGS") == 0)
		return "arguments";
	if (strcmp(tail, "BYTES") == 0)
		return "text";
	return strcmp(tail, "PARTS") == 0 ? "parts" : "none";
}

static void put_record(FILE *out, int number, const char *name, const struct column *columns,
					   size_t head, const char *tail, const char *text)
{
	fprintf(out, "| %d | `%s` | %s | ", number, name, text);
	put_fields(out, columns, head);
	fprintf(out, " | %s |\n", tail_text(tail));
}

#define ROW(fields, number, name, head, tail, text)                                \
	{                                                                              \
		static const struct column columns[] = {fields(COLUMN) COLUMNS_END};       \
		put_record(out, number, #name, columns, sizeof(struct head), #tail, text); \
	}
#define ROW_CALL(NAME, name, number, tail, text) \
	ROW(WIRE_CALL_##NAME, number, name, wire_record, tail, text)
#define ROW_ANSWER(NAME, name, number, tail, text) \
	ROW(WIRE_ANSWER_##NAME, number, name, wire_record, tail, text)
#define ROW_ATTACH(NAME, name, number, tail, text) \
	ROW(WIRE_ATTACH_##NAME, number, name, wire_record, tail, text)
#define ROW_MESSAGE(NAME, name, number, class, lane, tail, text) \
	ROW(WIRE_MESSAGE_##NAME, number, name, wire_message, tail, text)
#define ROW_LANE(NAME, name, number, class, lane, tail, text) \
	fprintf(out, "| `%s` | %s | %s |\n", #name, #class, #lane);
#define ROW_CLASS(NAME, number, credits) fprintf(out, "| %d | %s | %d |\n", number, #NAME, credits);

static void put_heading(FILE *out, const char *title)
{
	fprintf(out,
			"\n### %s\n\n| number | name | what | fixed part: offset, field, type | tail |\n"
			"|---|---|---|---|---|\n",
			title);
}

static void put_tables(FILE *out)
{
	fprintf(out, "<!-- tables: written by protocol_doc from src/wire/table.h -->\n\nVersion %d.\n",
			WIRE_VERSION);
	put_heading(out, "System calls (Process to Controller)");
	WIRE_CALLS(ROW_CALL)
	put_heading(out, "Answers (Controller to Process)");
	WIRE_ANSWERS(ROW_ANSWER)
	put_heading(out, "The attach dialogue (Unix socket)");
	WIRE_ATTACHES(ROW_ATTACH)
	put_heading(out, "Messages (Controller to Controller)");
	WIRE_MESSAGES(ROW_MESSAGE)
	fprintf(out, "\n| message | class | lane |\n|---|---|---|\n");
	WIRE_MESSAGES(ROW_LANE)
	fprintf(out, "\n| class | name | credits |\n|---|---|---|\n");
	WIRE_CLASSES(ROW_CLASS)
	fprintf(out, "\n<!-- end of tables -->\n");
}

static char *read_all(const char *path)
{
	FILE *file = fopen(path, "r");
	if (file == NULL)
		return NULL;
	char *text = NULL;
	size_t size = 0;
	if (getdelim(&text, &size, 0, file) < 0) {
		free(text);
		text = NULL;
	}
	fclose(file);
	return text;
}

int main(int argc, char **argv)
{
	char *tables = NULL;
	size_t size = 0;
	FILE *out = argc > 1 ? open_memstream(&tables, &size) : stdout;
	BASE_ASSERT(out != NULL);
	put_tables(out);
	if (argc <= 1)
		return ferror(out) || fflush(out) != 0;
	fclose(out);
	char *page = read_all(argv[1]);
	bool current = page != NULL && strstr(page, tables) != NULL;
	if (!current)
		fprintf(stderr, "%s: its tables are not those of src/wire/table.h: put in what %s prints\n",
				argv[1], argv[0]);
	free(page);
	free(tables);
	return current ? 0 : 1;
}
