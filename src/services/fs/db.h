/* The database under the engine: statements, transactions, errors in words. Serves meta*.c. */
#ifndef FS_DB_H
#define FS_DB_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

#include <fractos/status.h>

/* X(NAME, SQL) */
#define DB_STATEMENTS(X)                                                                        \
	X(BEGIN, "BEGIN IMMEDIATE")                                                                 \
	X(COMMIT, "COMMIT")                                                                         \
	X(ROLLBACK, "ROLLBACK")                                                                     \
	X(VOLUME_GET, "SELECT name, size, id, ready FROM volume")                                   \
	X(VOLUME_PUT, "INSERT INTO volume(one, name, size, id, ready) VALUES(1, ?1, ?2, ?3, 0)")    \
	X(VOLUME_READY, "UPDATE volume SET ready = 1")                                              \
	X(INODE_ADD, "INSERT INTO inode(type, size, mtime, parent) VALUES(?1, 0, ?2, ?3)")          \
	X(INODE_GET, "SELECT type, size, mtime, parent FROM inode WHERE id = ?1")                   \
	X(INODE_TIME, "UPDATE inode SET mtime = ?2 WHERE id = ?1")                                  \
	X(INODE_SIZE, "UPDATE inode SET size = ?2, mtime = ?3 WHERE id = ?1")                       \
	X(INODE_PARENT, "UPDATE inode SET parent = ?2 WHERE id = ?1")                               \
	X(INODE_DROP, "DELETE FROM inode WHERE id = ?1")                                            \
	X(ENTRY_GET, "SELECT inode, type FROM entry WHERE parent = ?1 AND name = ?2")               \
	X(ENTRY_ADD, "INSERT INTO entry(parent, name, inode, type) VALUES(?1, ?2, ?3, ?4)")         \
	X(ENTRY_DROP, "DELETE FROM entry WHERE parent = ?1 AND name = ?2")                          \
	X(ENTRY_LIST, "SELECT name, inode, type FROM entry WHERE parent = ?1 AND name > ?2 "        \
				  "ORDER BY name")                                                              \
	X(EXTENT_LIST, "SELECT offset, volume, length FROM extent WHERE file = ?1 ORDER BY offset") \
	X(EXTENT_PUT, "INSERT OR REPLACE INTO extent(file, offset, volume, length) "                \
				  "VALUES(?1, ?2, ?3, ?4)")                                                     \
	X(EXTENT_DROP, "DELETE FROM extent WHERE file = ?1 AND offset = ?2")                        \
	X(EXTENT_CUT, "DELETE FROM extent WHERE file = ?1 AND offset >= ?2")                        \
	X(EXTENT_ALL, "SELECT file, offset, volume, length FROM extent ORDER BY file, offset")

enum db_statement {
#define DB_ENUM(name, sql) DB_##name,
	DB_STATEMENTS(DB_ENUM)
#undef DB_ENUM
		DB_STATEMENT_COUNT
};

struct db {
	sqlite3 *sqlite;
	sqlite3_stmt *statements[DB_STATEMENT_COUNT];
	int lock; /* descriptor of the locked file, -1: none */
	char error[256];
};

/* Opens (and makes, if allowed) the database in `dir`, locked against other processes. */
fos_status db_open(struct db *db, const char *dir, bool must_exist);
void db_close(struct db *db);

/* Keeps a text for the caller. */
void db_text(struct db *db, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Keeps a text for the caller and is the status. A macro, so that an analyzer, which does not look
 * into variadic functions, sees what comes back. */
#define db_say(db, status, ...) (db_text((db), __VA_ARGS__), (fos_status)(status))

/* The statement, ready for its arguments. */
sqlite3_stmt *db_use(struct db *db, enum db_statement which);
/* Binds integers ?1, ?2 ... and runs a statement that returns no rows. */
fos_status db_run(struct db *db, enum db_statement which, unsigned count, const uint64_t *values);
#define DB_RUN(db, which, ...)                                              \
	db_run(db, which, sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), \
		   (uint64_t[]){__VA_ARGS__})
/* Takes a row: OK with *row true, OK with false at the end (the statement is then reset). */
fos_status db_row(struct db *db, sqlite3_stmt *statement, bool *row);
/* Runs to the end a statement that returns no rows. */
fos_status db_finish(struct db *db, sqlite3_stmt *statement);
/* What SQLite said last, as a status with a text. */
fos_status db_failed(struct db *db);

fos_status db_begin(struct db *db);
/* Commits if status is OK, else rolls back; returns the status, or that of a failed commit. */
fos_status db_end(struct db *db, fos_status status);

static inline uint64_t db_u64(sqlite3_stmt *statement, int column)
{
	return (uint64_t)sqlite3_column_int64(statement, column);
}

#endif
