/* A whole service: counts words in a Memory of its client, and continues with the result.
 *
 * Publishes "count". Its Request takes capability 1, a Memory with text; `next` receives a
 * uint64_t, the number of words, at FOS_RESULT. Errors: INVALID, QUOTA (text longer than the
 * buffer), and those of the copy. See docs/write-a-service.md, which explains it line by line. */
#include <ctype.h>
#include <signal.h>
#include <stdio.h>

#include <fractos/registry.h>

enum { TEXT = 1, TEXT_MAX = 1 << 20 };

static fos_channel *channel; /* for the signal handler alone */
static char *text;           /* TEXT_MAX bytes of our arena */
static fos_cap text_memory;

static void on_signal(int number)
{
	(void)number;
	fos_stop(channel);
}

static fos_handled count(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	(void)arg;
	const fos_delivered_cap *from = &delivery->caps[TEXT];
	fos_status status = FOS_OK;
	if (delivery->exception.status != FOS_OK)
		return FOS_FINISH; /* somebody's on_error: not for us */
	if (from->cap == FOS_CAP_NONE || from->kind != FOS_MEMORY)
		status = FOS_INVALID;
	else if (from->length > TEXT_MAX)
		status = FOS_QUOTA;
	const fos_invoke_options options = {.delivery = delivery->id};
	if (status == FOS_OK)
		status = fos_memory_copy(ch, text_memory, from->cap, NULL, &options);
	if (status != FOS_OK) {
		status = fos_fail(ch, delivery->id, status, "count: needs a Memory of at most 1 MiB");
		return status == FOS_OK ? FOS_FINISH_LATER : FOS_FINISH;
	}
	uint64_t words = 0;
	for (uint64_t i = 0; i < from->length; i++)
		words +=
			!isspace((unsigned char)text[i]) && (i == 0 || isspace((unsigned char)text[i - 1]));
	fos_args result;
	fos_args_init(&result);
	fos_args_imm(&result, FOS_CALL, FOS_RESULT, &words, sizeof words);
	status =
		fos_continue(ch, delivery->id, fos_delivery_cap(delivery, FOS_NEXT), &result, NULL, NULL);
	return status == FOS_OK ? FOS_FINISH_LATER : FOS_FINISH;
}

int main(void)
{
	fos_process *process;
	fos_cap request;
	void *bytes = NULL;
	if (fos_attach(&(fos_attach_options){.label = "count"}, &process) != FOS_OK)
		return fprintf(stderr, "count: %s\n", fos_attach_error()), 1;
	fos_status status = fos_channel_open(process, &channel);
	if (status == FOS_OK)
		status = fos_alloc(process, TEXT_MAX, 64, &bytes);
	text = bytes;
	if (status == FOS_OK)
		status = fos_memory_create(channel, text, TEXT_MAX, FOS_WRITE, &text_memory);
	if (status == FOS_OK)
		status = fos_request_create(channel, count, NULL, NULL, &request);
	if (status == FOS_OK)
		status = fos_registry_publish(channel, "count", request);
	if (status == FOS_OK) {
		signal(SIGTERM, on_signal);
		puts("ready");
		fflush(stdout);
		status = fos_serve(channel);
	}
	if (status != FOS_OK)
		fprintf(stderr, "count: %s\n", fos_status_text(status));
	fos_detach(process);
	return status == FOS_OK ? 0 : status == FOS_CONTROLLER_LOST ? 3 : 1;
}
