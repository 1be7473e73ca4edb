/* Memory: bytes of the arena, a narrower view of them, a copy, and a Request that is invoked when
 * the bytes have landed. The two sides could be on two other nodes. */
#include <fractos/fractos.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(call) must(call, #call)
static void must(fos_status status, const char *what)
{
	if (status != FOS_OK) {
		fprintf(stderr, "%s: %s. %s\n", what, fos_status_text(status), fos_status_advice(status));
		exit(1);
	}
}

static fos_handled landed(fos_channel *ch, const fos_delivery *d, void *arg)
{
	printf("landed: \"%s\"\n", (const char *)arg);
	fos_stop(ch);
	return FOS_FINISH;
}

int main(void)
{
	static const char text[] = "no more than necessary";
	fos_process *process;
	fos_channel *ch;
	fos_cap from, part, to, then;
	void *source, *target;

	if (fos_attach(&(fos_attach_options){.label = "copy"}, &process) != FOS_OK) {
		fprintf(stderr, "%s\n", fos_attach_error());
		return 1;
	}
	MUST(fos_channel_open(process, &ch));
	MUST(fos_alloc(process, sizeof text, 0, &source));
	MUST(fos_alloc(process, sizeof text, 0, &target));
	memcpy(source, text, sizeof text);
	MUST(fos_memory_create(ch, source, sizeof text, FOS_READ, &from));
	MUST(fos_memory_create(ch, target, sizeof text, FOS_WRITE, &to));

	MUST(fos_memory_copy(ch, to, from, NULL, NULL));
	printf("copied: \"%s\"\n", (const char *)target);

	/* "necessary", to the start of the target, whose first bytes only change. */
	MUST(fos_memory_diminish(ch, from, 13, sizeof text - 13, 0, &part));
	MUST(fos_request_create(ch, landed, target, &(fos_request_options){.once = true}, &then));
	fos_args args;
	fos_args_init(&args);
	fos_args_cap(&args, FOS_CALL, FOS_NEXT, then);
	fos_args_on_error(&args, FOS_CALL, then);
	MUST(fos_memory_copy(ch, to, part, &args, NULL));
	must(fos_serve(ch), "fos_serve");

	fos_status status = fos_memory_copy(ch, from, to, NULL, NULL);
	printf("the other way: %s\n", fos_status_name(status));
	fos_detach(process);
	return 0;
}
