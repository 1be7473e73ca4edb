/* A chain: the client names all stages at once, invokes the first, and is told by the last. Nobody
 * passes a result through the client. On several nodes this would be N + 1 messages.
 *
 *     client -> double -> add 7 -> double -> client
 */
#include <fractos/fractos.h>
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

/* Hands `value` on to whoever comes next in the chain. */
static fos_handled pass_on(fos_channel *ch, const fos_delivery *d, uint64_t value)
{
	fos_args args;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_RESULT, &value, sizeof value);
	MUST(fos_continue(ch, d->id, fos_delivery_cap(d, FOS_NEXT), &args, NULL, NULL));
	return FOS_FINISH_LATER;
}

static fos_handled refuse(fos_channel *ch, const fos_delivery *d)
{
	MUST(fos_fail(ch, d->id, FOS_INVALID, "a number is missing"));
	return FOS_FINISH_LATER;
}

static fos_handled twice(fos_channel *ch, const fos_delivery *d, void *arg)
{
	const uint64_t *value = fos_delivery_imm(d, FOS_RESULT, sizeof *value);
	return value ? pass_on(ch, d, *value * 2) : refuse(ch, d);
}

static fos_handled add(fos_channel *ch, const fos_delivery *d, void *arg)
{
	const uint64_t *value = fos_delivery_imm(d, FOS_RESULT, sizeof *value);
	const uint64_t *more = fos_delivery_imm(d, FOS_ARG, sizeof *more);
	return value && more ? pass_on(ch, d, *value + *more) : refuse(ch, d);
}

static fos_handled finished(fos_channel *ch, const fos_delivery *d, void *arg)
{
	const uint64_t *value = fos_delivery_imm(d, FOS_RESULT, sizeof *value);
	if (d->exception.status != FOS_OK)
		printf("%s at %s: %s\n", fos_status_name(d->exception.status), d->exception.where,
			   d->exception.detail);
	else if (value != NULL)
		printf("the chain ends with %ju\n", (uintmax_t)*value);
	fos_stop(ch);
	return FOS_FINISH;
}

int main(void)
{
	const uint64_t start = 10, seven = 7;
	fos_process *process;
	fos_channel *ch;
	fos_cap doubler, adder, reply;

	if (fos_attach(&(fos_attach_options){.label = "chain"}, &process) != FOS_OK) {
		fprintf(stderr, "%s\n", fos_attach_error());
		return 1;
	}
	MUST(fos_channel_open(process, &ch));
	MUST(fos_request_create(ch, twice, NULL, NULL, &doubler));
	MUST(fos_request_create(ch, add, NULL, NULL, &adder));
	MUST(fos_request_create(ch, finished, NULL, &(fos_request_options){.once = true}, &reply));

	fos_args a;
	fos_args_init(&a);
	fos_cap second = fos_args_refine(&a, adder), third = fos_args_refine(&a, doubler);
	fos_args_imm(&a, FOS_CALL, FOS_RESULT, &start, sizeof start);
	fos_args_cap(&a, FOS_CALL, FOS_NEXT, second);
	fos_args_imm(&a, second, FOS_ARG, &seven, sizeof seven);
	fos_args_cap(&a, second, FOS_NEXT, third);
	fos_args_cap(&a, third, FOS_NEXT, reply);
	fos_args_on_error(&a, FOS_CALL, reply);
	MUST(fos_request_invoke(ch, doubler, &a, NULL));

	must(fos_serve(ch), "fos_serve");
	fos_detach(process);
	return 0;
}
