/* SQLite, held so that the engine reads well. See db.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db.h"

static const char *const sql[DB_STATEMENT_COUNT] = {
#define DB_SQL(name, text) [DB_##name] = (text),
	DB_STATEMENTS(DB_SQL)
#undef DB_SQL
};

/* AUTOINCREMENT: an id is never given twice, also not that of the file unlinked last. A name is a
 * BLOB: compared by its bytes. */
static const char schema[] =
	"CREATE TABLE IF NOT EXISTS volume(one INTEGER PRIMARY KEY CHECK(one = 1), name TEXT NOT NULL,"
	"  size INTEGER NOT NULL, id BLOB NOT NULL, ready INTEGER NOT NULL);"
	"CREATE TABLE IF NOT EXISTS inode(id INTEGER PRIMARY KEY AUTOINCREMENT, type INTEGER NOT NULL,"
	"  size INTEGER NOT NULL, mtime INTEGER NOT NULL, parent INTEGER NOT NULL);"
	"CREATE TABLE IF NOT EXISTS entry(parent INTEGER NOT NULL, name BLOB NOT NULL,"
	"  inode INTEGER NOT NULL, type INTEGER NOT NULL, PRIMARY KEY(parent, name)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS extent(file INTEGER NOT NULL, offset INTEGER NOT NULL,"
	"  volume INTEGER NOT NULL, length INTEGER NOT NULL, PRIMARY KEY(file, offset)) WITHOUT ROWID;"
	"INSERT OR IGNORE INTO inode(id, type, size, mtime, parent) VALUES(1, 2, 0, 0, 1);"
	"PRAGMA user_version = 1;";

void db_text(struct db *db, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(db->error, sizeof db->error, format, args);
	va_end(args);
}

fos_status db_failed(struct db *db)
{
	int code = sqlite3_errcode(db->sqlite);
	return db_say(db, code == SQLITE_FULL ? FOS_NO_SPACE : FOS_DEVICE, "metadata: %s",
				  sqlite3_errmsg(db->sqlite));
}

static fos_status execute(struct db *db, const char *text)
{
	return sqlite3_exec(db->sqlite, text, NULL, NULL, NULL) == SQLITE_OK ? FOS_OK : db_failed(db);
}

static fos_status read_version(struct db *db, int *out)
{
	sqlite3_stmt *statement = NULL;
	if (sqlite3_prepare_v2(db->sqlite, "PRAGMA user_version", -1, &statement, NULL) != SQLITE_OK)
		return db_failed(db);
	fos_status status = sqlite3_step(statement) == SQLITE_ROW ? FOS_OK : db_failed(db);
	if (status == FOS_OK)
		*out = sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	return status;
}

/* Only one process at a time, and the second is told so instead of waiting. */
static fos_status take_lock(struct db *db, const char *dir, bool must_exist)
{
	char path[4096];
	if (!must_exist && mkdir(dir, 0700) != 0 && errno != EEXIST)
		return db_say(db, FOS_NOT_FOUND, "cannot make directory %s: %s", dir, strerror(errno));
	if (snprintf(path, sizeof path, "%s/meta.db", dir) >= (int)sizeof path - 8)
		return db_say(db, FOS_INVALID, "the name of the metadata directory is too long");
	if (must_exist && access(path, F_OK) != 0)
		return db_say(db, FOS_NOT_FOUND, "no file system in %s: %s", dir, strerror(errno));
	if (snprintf(path, sizeof path, "%s/lock", dir) >= (int)sizeof path)
		return db_say(db, FOS_INVALID, "the name of the metadata directory is too long");
	db->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (db->lock < 0)
		return db_say(db, FOS_DENIED, "cannot open %s: %s", path, strerror(errno));
	if (flock(db->lock, LOCK_EX | LOCK_NB) != 0)
		return db_say(db, FOS_BUSY, "another process uses the metadata in %s", dir);
	return FOS_OK;
}

static fos_status open_database(struct db *db, const char *dir)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/meta.db", dir);
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
	if (sqlite3_open_v2(path, &db->sqlite, flags, NULL) != SQLITE_OK)
		return db_say(db, FOS_DEVICE, "cannot open %s: %s", path,
					  db->sqlite ? sqlite3_errmsg(db->sqlite) : "no memory");
	/* A commit reaches the kernel, sync.c brings it to the disk and moves it out of the log. The
	 * other connection there holds locks only for moments. */
	fos_status status = execute(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
									"PRAGMA wal_autocheckpoint = 0; PRAGMA busy_timeout = 10000;"
									"PRAGMA cache_size = -8192;");
	int version = 0;
	if (status == FOS_OK)
		status = read_version(db, &version);
	if (status == FOS_OK && version > 1)
		return db_say(db, FOS_UNSUPPORTED, "%s is of version %d, this program knows 1", path,
					  version);
	if (status == FOS_OK && version == 0)
		status = execute(db, "BEGIN IMMEDIATE");
	if (status == FOS_OK && version == 0)
		status = execute(db, schema);
	if (status == FOS_OK && version == 0)
		status = execute(db, "COMMIT");
	return status;
}

fos_status db_open(struct db *db, const char *dir, bool must_exist)
{
	*db = (struct db){.lock = -1};
	fos_status status = take_lock(db, dir, must_exist);
	if (status == FOS_OK)
		status = open_database(db, dir);
	for (unsigned i = 0; i < DB_STATEMENT_COUNT && status == FOS_OK; i++) {
		unsigned flags = SQLITE_PREPARE_PERSISTENT;
		if (sqlite3_prepare_v3(db->sqlite, sql[i], -1, flags, &db->statements[i], NULL) !=
			SQLITE_OK)
			status = db_failed(db);
	}
	return status;
}

void db_close(struct db *db)
{
	for (unsigned i = 0; i < DB_STATEMENT_COUNT; i++)
		sqlite3_finalize(db->statements[i]);
	sqlite3_close(db->sqlite);
	if (db->lock >= 0)
		close(db->lock);
	*db = (struct db){.lock = -1};
}

sqlite3_stmt *db_use(struct db *db, enum db_statement which)
{
	sqlite3_reset(db->statements[which]);
	return db->statements[which];
}

fos_status db_row(struct db *db, sqlite3_stmt *statement, bool *row)
{
	int code = sqlite3_step(statement);
	*row = code == SQLITE_ROW;
	if (*row)
		return FOS_OK;
	fos_status status = code == SQLITE_DONE ? FOS_OK : db_failed(db);
	sqlite3_reset(statement);
	return status;
}

fos_status db_finish(struct db *db, sqlite3_stmt *statement)
{
	bool row;
	return db_row(db, statement, &row);
}

fos_status db_run(struct db *db, enum db_statement which, unsigned count, const uint64_t *values)
{
	sqlite3_stmt *statement = db_use(db, which);
	for (unsigned i = 0; i < count; i++)
		sqlite3_bind_int64(statement, (int)i + 1, (sqlite3_int64)values[i]);
	return db_finish(db, statement);
}

fos_status db_begin(struct db *db)
{
	return db_finish(db, db_use(db, DB_BEGIN));
}

fos_status db_end(struct db *db, fos_status status)
{
	if (status == FOS_OK)
		status = db_finish(db, db_use(db, DB_COMMIT));
	/* SQLite may have rolled back itself. A rollback that fails leaves nothing committed either. */
	if (status != FOS_OK && !sqlite3_get_autocommit(db->sqlite)) {
		sqlite3_step(db_use(db, DB_ROLLBACK));
		sqlite3_reset(db->statements[DB_ROLLBACK]);
	}
	return status;
}
