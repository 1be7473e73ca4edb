/* The invariants of the database, looked at one by one: `fractos-fs --check`, the tests, and each
 * start (extents only). See meta.h.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "inode.h"

struct checker {
	struct meta *meta;
	void (*fault)(const char *line, void *arg);
	void *arg;
	uint64_t faults;
};

static void fault(struct checker *checker, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void fault(struct checker *checker, const char *format, ...)
{
	char line[200];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	checker->faults++;
	checker->fault(line, checker->arg);
}

/* The extent before, of the same or of another file. */
struct seen {
	uint64_t file;
	uint64_t end;      /* byte behind it */
	uint64_t distance; /* blocks from file to volume, modulo 2^64 */
};

static void claim_extent(struct checker *checker, struct alloc *alloc, uint64_t file,
						 const struct extent *extent, struct seen *seen)
{
	unsigned long long id = file, at = extent->offset;
	if (extent->length == 0 || extent->offset > META_FILE_MAX || extent->length > META_FILE_MAX ||
		extent->volume > META_FILE_MAX || extent->offset % FS_BLOCK != extent->volume % FS_BLOCK) {
		fault(checker, "file %llu: the extent at %llu is malformed", id, at);
		return;
	}
	uint64_t first = extent->offset / FS_BLOCK;
	uint64_t behind = (extent->offset + extent->length + FS_BLOCK - 1) / FS_BLOCK;
	uint64_t distance = extent->volume / FS_BLOCK - first;
	if (seen->file == file && seen->end > extent->offset)
		fault(checker, "file %llu: the extents overlap at %llu", id, at);
	if (seen->file == file && seen->end > first * FS_BLOCK) { /* its first block is claimed */
		if (seen->distance != distance)
			fault(checker, "file %llu: the block at %llu is in two places", id, at);
		first++;
	}
	struct run run = {first + distance, behind - first};
	if (run.count && !alloc_claim(alloc, run))
		fault(checker, "file %llu: blocks %llu to %llu are another's or do not exist", id,
			  (unsigned long long)run.block, (unsigned long long)(run.block + run.count - 1));
	*seen = (struct seen){file, extent->offset + extent->length, distance};
}

fos_status meta_claim_all(struct meta *meta, struct alloc *alloc,
						  void (*hear)(const char *line, void *arg), void *arg, uint64_t *faults)
{
	struct checker checker = {.meta = meta, .fault = hear, .arg = arg};
	struct seen seen = {0};
	sqlite3_stmt *statement = db_use(&meta->db, DB_EXTENT_ALL);
	fos_status status;
	bool row;
	while ((status = db_row(&meta->db, statement, &row)) == FOS_OK && row) {
		struct extent extent = {db_u64(statement, 1), db_u64(statement, 2), db_u64(statement, 3)};
		claim_extent(&checker, alloc, db_u64(statement, 0), &extent, &seen);
	}
	*faults = checker.faults;
	return status;
}

/* Each query finds what must not be; the first column is told. */
static const struct {
	const char *sql, *text;
} queries[] = {
	{"SELECT e.inode FROM entry e LEFT JOIN inode i ON i.id = e.inode WHERE i.id IS NULL",
	 "has a name but does not exist"},
	{"SELECT e.inode FROM entry e JOIN inode i ON i.id = e.inode WHERE i.type != e.type",
	 "has another type than its name says"},
	{"SELECT inode FROM entry GROUP BY inode HAVING count(*) > 1", "has more than one name"},
	{"SELECT id FROM inode WHERE id != 1 AND id NOT IN (SELECT inode FROM entry)",
	 "exists but has no name"},
	{"SELECT e.inode FROM entry e LEFT JOIN inode p ON p.id = e.parent AND p.type = 2 "
	 "WHERE p.id IS NULL",
	 "is in something that is no directory"},
	{"SELECT e.inode FROM entry e JOIN inode i ON i.id = e.inode "
	 "WHERE i.type = 2 AND i.parent != e.parent",
	 "is a directory that names another parent"},
	/* Reached from the root by names; UNION ends at a cycle. */
	{"WITH RECURSIVE reached(id) AS (SELECT 1 UNION SELECT e.inode FROM entry e "
	 "JOIN reached r ON e.parent = r.id) SELECT id FROM inode WHERE id NOT IN reached",
	 "cannot be reached from the root"},
	{"SELECT x.file FROM extent x LEFT JOIN inode i ON i.id = x.file AND i.type = 1 "
	 "WHERE i.id IS NULL",
	 "has extents but is no file"},
	{"SELECT x.file FROM extent x JOIN inode i ON i.id = x.file WHERE x.offset + x.length > i.size",
	 "has extents behind its end"},
	{"SELECT id FROM inode WHERE id = 1 AND type != 2", "is the root but no directory"},
};

static void run_query(struct checker *checker, const char *sql, const char *text)
{
	sqlite3_stmt *statement = NULL;
	sqlite3 *sqlite = checker->meta->db.sqlite;
	if (sqlite3_prepare_v2(sqlite, sql, -1, &statement, NULL) != SQLITE_OK) {
		fault(checker, "%s", sqlite3_errmsg(sqlite));
		return;
	}
	int code;
	while ((code = sqlite3_step(statement)) == SQLITE_ROW)
		fault(checker, "%s %s", (const char *)sqlite3_column_text(statement, 0), text);
	if (code != SQLITE_DONE)
		fault(checker, "%s", sqlite3_errmsg(sqlite));
	sqlite3_finalize(statement);
}

static void check_database(struct checker *checker)
{
	sqlite3_stmt *statement = NULL;
	sqlite3 *sqlite = checker->meta->db.sqlite;
	if (sqlite3_prepare_v2(sqlite, "PRAGMA quick_check", -1, &statement, NULL) == SQLITE_OK) {
		while (sqlite3_step(statement) == SQLITE_ROW) {
			const char *line = (const char *)sqlite3_column_text(statement, 0);
			if (strcmp(line, "ok") != 0)
				fault(checker, "database: %s", line);
		}
	} else {
		fault(checker, "%s", sqlite3_errmsg(sqlite));
	}
	sqlite3_finalize(statement);
}

static uint64_t count_inodes(struct checker *checker)
{
	sqlite3_stmt *statement = NULL;
	uint64_t count = 0;
	if (sqlite3_prepare_v2(checker->meta->db.sqlite, "SELECT count(*) FROM inode", -1, &statement,
						   NULL) == SQLITE_OK &&
		sqlite3_step(statement) == SQLITE_ROW)
		count = db_u64(statement, 0);
	sqlite3_finalize(statement);
	return count;
}

static void check_extents(struct checker *checker)
{
	struct meta *meta = checker->meta;
	struct meta_layout layout = meta_layout(meta->volume.size);
	struct alloc *alloc = alloc_create(meta->volume.size / FS_BLOCK);
	if (!alloc || !alloc_claim(alloc, (struct run){0, layout.first_block})) {
		fault(checker, "the volume's size is impossible");
		alloc_destroy(alloc);
		return;
	}
	uint64_t faults = 0;
	if (meta_claim_all(meta, alloc, checker->fault, checker->arg, &faults) != FOS_OK)
		fault(checker, "%s", meta_error(meta));
	checker->faults += faults;
	for (uint64_t block = 0; meta->alloc && block < alloc_size(alloc); block++) {
		/* The other way round is allowed: taken for a plan, or freed but not yet given back. */
		if (!alloc_is_free(alloc, block) && alloc_is_free(meta->alloc, block))
			fault(checker, "block %llu is a file's but counted as free", (unsigned long long)block);
	}
	alloc_destroy(alloc);
}

uint64_t meta_check(struct meta *meta, void (*hear)(const char *line, void *arg), void *arg,
					uint64_t *files)
{
	struct checker checker = {.meta = meta, .fault = hear, .arg = arg};
	check_database(&checker);
	for (unsigned i = 0; i < sizeof queries / sizeof queries[0]; i++)
		run_query(&checker, queries[i].sql, queries[i].text);
	if (meta->has_volume)
		check_extents(&checker);
	*files = count_inodes(&checker);
	return checker.faults;
}
