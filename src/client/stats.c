/* A service's numbers, see fractos/stats.h. */
#include <string.h>

#include <fractos/stats.h>

enum { ASK_BYTES = 512 }; /* as long as any service's arguments, all zero behind the operation */

fos_status fos_stats_get(fos_channel *ch, fos_cap service, fos_stat out[FOS_STATS_MAX],
						 unsigned *count)
{
	const uint32_t ask[ASK_BYTES / sizeof(uint32_t)] = {FOS_STATS};
	fos_args args;
	fos_reply reply;
	*count = 0;
	fos_args_init(&args);
	fos_args_imm(&args, FOS_CALL, FOS_ARG, ask, sizeof ask);
	fos_status status = fos_call(ch, service, &args, 0, &reply);
	if (status == FOS_OK) {
		uint32_t len = fos_delivery_imm_len(&reply.delivery, FOS_RESULT);
		uint32_t many = len / (uint32_t)sizeof *out;
		many = many < FOS_STATS_MAX ? many : FOS_STATS_MAX;
		const void *bytes =
			many ? fos_delivery_imm(&reply.delivery, FOS_RESULT, many * (uint32_t)sizeof *out)
				 : NULL;
		if (bytes)
			memcpy(out, bytes, many * sizeof *out);
		else
			status = FOS_INTERNAL;
		for (uint32_t i = 0; i < many; i++)
			out[i].name[sizeof out[i].name - 1] = 0;
		*count = bytes ? many : 0;
	}
	fos_reply_release(ch, &reply);
	return status;
}
