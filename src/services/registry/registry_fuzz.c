/* libFuzzer harness: hostile clients of the registry, and a Controller that refuses any call. See
 * client/stand_in.h. */
#include <string.h>

#include "base/base.h"
#include "client/stand_in.h"
#include "service.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OPERATIONS = 200 };

/* Few names, so that they meet; some beyond what a policy allows, some that are none. */
static uint32_t arguments(struct choices *choices, uint8_t *out)
{
	static const char *const names[] = {"a", "b", "blk", "fs/one", "fs/two", "gallery", "A", ""};
	fos_registry_args args = {.op = (uint32_t)choose_below(choices, 8)};
	uint64_t how = choose(choices, 1);
	const char *name = names[how % BASE_COUNT(names)];
	memcpy(args.name, name, strlen(name));
	args.prefix_len = (uint32_t)(how / 8 % 8);
	if (how >= 224) /* no end */
		memset(args.name, 'x', sizeof args.name);
	memcpy(out, &args, sizeof args);
	return how % 32 == 31 ? sizeof args / 2 : sizeof args;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const fos_principal clients[] = {{.node = 1, .process = 2, .uid = 0, .label = "root"},
											{.node = 1, .process = 3, .uid = 1000, .label = "one"},
											{.node = 2, .process = 3, .uid = 1001, .label = "two"}};
	static const char rules[] = "publish uid:1000 *\npublish uid:1001 fs/*\nlookup any *\n";
	struct choices program = {data, size}, choices;
	char error[POLICY_ERROR_MAX];
	struct policy policy;
	struct service *service;
	const char *what;
	uint8_t operation;
	fos_channel *ch = stand_in_begin();
	policy_default(&policy, 0);
	BASE_ASSERT(policy_parse(&policy, rules, error));
	BASE_ASSERT(service_open(ch, &policy, &service, &what) == FOS_OK);
	BASE_ASSERT(service_announce(service) == FOS_OK);
	/* The Controllers bind who asks; without that, the service must refuse. */
	for (unsigned i = 0; i < BASE_COUNT(clients); i++)
		stand_in_offer(stand_in_registry(), &clients[i], sizeof clients[i]);
	for (unsigned i = 0; i < OPERATIONS && fuzz_operation(&program, &operation, &choices); i++)
		stand_in_operate(operation, &choices, arguments);
	service_close(service);
	policy_clear(&policy);
	stand_in_end();
	return 0;
}
