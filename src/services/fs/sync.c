/* The thread that syncs the log. See sync.h. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "sync.h"

enum { LOG_BYTES_MAX = 8 << 20 }; /* moved into the database from there on */

struct sync {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	uint64_t wanted, done; /* commits */
	int error;
	bool stopping;
	int fd, log, directory; /* log and directory are the thread's */
	sqlite3 *sqlite;        /* the thread's own connection */
};

/* The log and its name. Later syncs need only the log: it stays while the database is open. */
static int sync_log(struct sync *sync)
{
	if (fdatasync(sync->log) != 0)
		return errno;
	if (sync->directory >= 0) {
		if (fsync(sync->directory) != 0)
			return errno;
		close(sync->directory);
		sync->directory = -1;
	}
	struct stat stat;
	if (fstat(sync->log, &stat) == 0 && stat.st_size > LOG_BYTES_MAX)
		/* Not all of it may be moved while the other side writes; what is left comes next time. */
		sqlite3_wal_checkpoint_v2(sync->sqlite, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	return 0;
}

static void *run(void *arg)
{
	struct sync *sync = arg;
	const uint64_t one = 1;
	pthread_mutex_lock(&sync->mutex);
	while (!sync->stopping) {
		if (sync->wanted <= sync->done) {
			pthread_cond_wait(&sync->wake, &sync->mutex);
			continue;
		}
		uint64_t target = sync->wanted;
		pthread_mutex_unlock(&sync->mutex);
		int error = sync_log(sync);
		pthread_mutex_lock(&sync->mutex);
		sync->error = error;
		if (error == 0)
			sync->done = target;
		else
			sync->wanted = sync->done; /* those who wait are told and may ask again */
		(void)!write(sync->fd, &one, sizeof one);
	}
	pthread_mutex_unlock(&sync->mutex);
	return NULL;
}

struct sync *sync_start(const char *dir, int fd)
{
	char path[4096];
	struct sync *sync = calloc(1, sizeof *sync);
	if (!sync)
		return NULL;
	sync->fd = fd;
	snprintf(path, sizeof path, "%s/meta.db-wal", dir);
	sync->log = open(path, O_RDWR | O_CLOEXEC);
	sync->directory = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof path, "%s/meta.db", dir);
	pthread_mutex_init(&sync->mutex, NULL);
	pthread_cond_init(&sync->wake, NULL);
	if (sync->log >= 0 && sync->directory >= 0 &&
		sqlite3_open_v2(path, &sync->sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) ==
			SQLITE_OK &&
		pthread_create(&sync->thread, NULL, run, sync) == 0)
		return sync;
	int error = errno;
	sqlite3_close(sync->sqlite);
	if (sync->log >= 0)
		close(sync->log);
	if (sync->directory >= 0)
		close(sync->directory);
	free(sync);
	errno = error;
	return NULL;
}

void sync_stop(struct sync *sync)
{
	if (!sync)
		return;
	pthread_mutex_lock(&sync->mutex);
	sync->stopping = true;
	pthread_cond_signal(&sync->wake);
	pthread_mutex_unlock(&sync->mutex);
	pthread_join(sync->thread, NULL);
	sqlite3_close(sync->sqlite);
	close(sync->log);
	if (sync->directory >= 0)
		close(sync->directory);
	pthread_cond_destroy(&sync->wake);
	pthread_mutex_destroy(&sync->mutex);
	free(sync);
}

void sync_request(struct sync *sync, uint64_t commits)
{
	pthread_mutex_lock(&sync->mutex);
	if (commits > sync->wanted) {
		sync->wanted = commits;
		pthread_cond_signal(&sync->wake);
	}
	pthread_mutex_unlock(&sync->mutex);
}

uint64_t sync_done(struct sync *sync, int *error)
{
	pthread_mutex_lock(&sync->mutex);
	uint64_t done = sync->done;
	*error = sync->error;
	pthread_mutex_unlock(&sync->mutex);
	return done;
}
