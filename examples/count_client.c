/* Asks the service of count_service.c: how many words are in the arguments? */
#include <stdio.h>
#include <string.h>

#include <fractos/registry.h>

static fos_status ask(fos_channel *ch, fos_process *process, const char *words, uint64_t *out)
{
	fos_cap service, memory;
	void *bytes;
	size_t len = strlen(words) + 1;
	fos_status status = fos_registry_wait(ch, "count", 2000000000, &service);
	if (status == FOS_OK)
		status = fos_alloc(process, len, 64, &bytes);
	if (status != FOS_OK)
		return status;
	memcpy(bytes, words, len);
	status = fos_memory_create(ch, bytes, len - 1, FOS_READ, &memory);
	if (status != FOS_OK)
		return status;
	fos_args args;
	fos_reply reply;
	fos_args_init(&args);
	fos_args_cap(&args, FOS_CALL, 1, memory);
	status = fos_call(ch, service, &args, 0, &reply);
	const uint64_t *result =
		status == FOS_OK ? fos_delivery_imm(&reply.delivery, FOS_RESULT, sizeof *out) : NULL;
	if (status == FOS_OK && !result)
		status = FOS_INTERNAL;
	if (result)
		*out = *result;
	fos_reply_release(ch, &reply);
	return status;
}

int main(int argc, char **argv)
{
	fos_process *process;
	fos_channel *channel;
	uint64_t words;
	if (argc != 2)
		return fprintf(stderr, "usage: count-client TEXT\n"), 2;
	if (fos_attach(&(fos_attach_options){.label = "count-client"}, &process) != FOS_OK)
		return fprintf(stderr, "count-client: %s\n", fos_attach_error()), 1;
	fos_status status = fos_channel_open(process, &channel);
	if (status == FOS_OK)
		status = ask(channel, process, argv[1], &words);
	if (status == FOS_OK)
		printf("%llu\n", (unsigned long long)words);
	else
		fprintf(stderr, "count-client: %s\n", fos_status_text(status));
	fos_detach(process);
	return status == FOS_OK ? 0 : 1;
}
