/* The smallest service and its client, in one Process with two threads.
 *
 *     fractos up; fractos exec app build/examples/hello; fractos down
 */
#include <fractos/fractos.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define MUST(call) must(call, #call)
static void must(fos_status status, const char *what)
{
	if (status != FOS_OK) {
		fprintf(stderr, "%s: %s. %s\n", what, fos_status_text(status), fos_status_advice(status));
		exit(1);
	}
}

/* Answers with the square of a number. */
static fos_handled square(fos_channel *ch, const fos_delivery *d, void *arg)
{
	const uint64_t *number = fos_delivery_imm(d, FOS_ARG, sizeof *number);
	if (number == NULL) {
		MUST(fos_fail(ch, d->id, FOS_INVALID, "where is the number?"));
		return FOS_FINISH_LATER;
	}
	uint64_t result = *number * *number;
	fos_args args;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_RESULT, &result, sizeof result);
	MUST(fos_continue(ch, d->id, fos_delivery_cap(d, FOS_NEXT), &args, NULL, NULL));
	return FOS_FINISH_LATER;
}

static void *serve(void *channel)
{
	fos_serve(channel);
	return NULL;
}

static void ask(fos_channel *ch, fos_cap service, uint64_t number)
{
	fos_args args;
	fos_reply reply;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, &number, sizeof number);
	MUST(fos_call(ch, service, &args, 0, &reply));
	const uint64_t *result = fos_delivery_imm(&reply.delivery, FOS_RESULT, sizeof *result);
	printf("the square of %ju is %ju\n", (uintmax_t)number, (uintmax_t)(result ? *result : 0));
	fos_reply_release(ch, &reply);
}

int main(void)
{
	fos_process *process;
	fos_channel *client, *server;
	fos_reply reply;
	pthread_t thread;
	fos_cap service;

	if (fos_attach(&(fos_attach_options){.label = "hello"}, &process) != FOS_OK) {
		fprintf(stderr, "%s\n", fos_attach_error());
		return 1;
	}
	printf("attached to node %s\n", fos_node_name(process));
	MUST(fos_channel_open(process, &server));
	MUST(fos_channel_open(process, &client));
	MUST(fos_request_create(server, square, NULL, NULL, &service));
	pthread_create(&thread, NULL, serve, server);

	ask(client, service, 12);
	fos_status status = fos_call(client, service, NULL, 0, &reply);
	printf("without a number: %s at %s: %s\n", fos_status_name(status),
		   reply.delivery.exception.where, reply.delivery.exception.detail);
	fos_reply_release(client, &reply);

	fos_stop(server);
	pthread_join(thread, NULL);
	fos_detach(process);
	return 0;
}
