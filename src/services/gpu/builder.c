/* See builder.h. */
#include "builder.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { TASKS_MAX = 64 };

struct queue {
	struct builder_task *first, **end;
};

struct builder {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	bool stop;
	unsigned count; /* submitted, not collected */
	int done_fd;
	struct queue waiting, done;
};

static void queue_push(struct queue *queue, struct builder_task *task)
{
	task->next = NULL;
	*queue->end = task;
	queue->end = &task->next;
}

static struct builder_task *queue_pop(struct queue *queue)
{
	struct builder_task *task = queue->first;
	if (task) {
		queue->first = task->next;
		if (!queue->first)
			queue->end = &queue->first;
	}
	return task;
}

static void *serve(void *arg)
{
	struct builder *builder = arg;
	pthread_mutex_lock(&builder->lock);
	while (!builder->stop) {
		struct builder_task *task = queue_pop(&builder->waiting);
		if (!task) {
			pthread_cond_wait(&builder->more, &builder->lock);
			continue;
		}
		pthread_mutex_unlock(&builder->lock);
		task->work(task);
		pthread_mutex_lock(&builder->lock);
		queue_push(&builder->done, task);
		eventfd_write(builder->done_fd, 1);
	}
	pthread_mutex_unlock(&builder->lock);
	return NULL;
}

struct builder *builder_create(void)
{
	struct builder *builder = calloc(1, sizeof *builder);
	if (!builder)
		return NULL;
	builder->waiting.end = &builder->waiting.first;
	builder->done.end = &builder->done.first;
	pthread_mutex_init(&builder->lock, NULL);
	pthread_cond_init(&builder->more, NULL);
	builder->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (builder->done_fd < 0)
		goto no_fd;
	if (pthread_create(&builder->thread, NULL, serve, builder) != 0)
		goto no_thread;
	return builder;
no_thread:
	close(builder->done_fd);
no_fd:
	pthread_cond_destroy(&builder->more);
	pthread_mutex_destroy(&builder->lock);
	free(builder);
	return NULL;
}

bool builder_destroy(struct builder *builder, uint64_t time)
{
	struct timespec end;
	pthread_mutex_lock(&builder->lock);
	builder->stop = true;
	pthread_cond_signal(&builder->more);
	pthread_mutex_unlock(&builder->lock);
	clock_gettime(CLOCK_REALTIME, &end);
	uint64_t nanoseconds = (uint64_t)end.tv_nsec + time;
	end.tv_sec += (time_t)(nanoseconds / 1000000000);
	end.tv_nsec = (long)(nanoseconds % 1000000000);
	if (pthread_timedjoin_np(builder->thread, NULL, &end) != 0)
		return false;
	close(builder->done_fd);
	pthread_cond_destroy(&builder->more);
	pthread_mutex_destroy(&builder->lock);
	free(builder);
	return true;
}

bool builder_submit(struct builder *builder, struct builder_task *task)
{
	pthread_mutex_lock(&builder->lock);
	bool room = builder->count < TASKS_MAX && !builder->stop;
	if (room) {
		builder->count++;
		queue_push(&builder->waiting, task);
		pthread_cond_signal(&builder->more);
	}
	pthread_mutex_unlock(&builder->lock);
	return room;
}

int builder_fd(const struct builder *builder)
{
	return builder->done_fd;
}

void builder_collect(struct builder *builder)
{
	eventfd_t count;
	eventfd_read(builder->done_fd, &count);
	pthread_mutex_lock(&builder->lock);
	for (struct builder_task *task; (task = queue_pop(&builder->done)) != NULL;) {
		builder->count--;
		pthread_mutex_unlock(&builder->lock);
		task->finish(task);
		pthread_mutex_lock(&builder->lock);
	}
	pthread_mutex_unlock(&builder->lock);
}
