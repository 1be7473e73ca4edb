/* Exceptions: who could not go on, and why. Only Controllers stamp them: for a provider that called
 * fos_fail or died, for the owner of a dead target, for the sender that lost a session.
 *
 * They are best effort: one whose target is dead, or for which too many wait already, is dropped
 * and counted. An exception makes no further one, so notices cannot go round. */
#include "core/core_internal.h"

struct exception *core_exception_copy(struct core *core, const struct wire_exception *head,
									  const uint8_t *detail)
{
	struct exception *exception = core_alloc_reserved(core, sizeof *exception + head->detail_len);
	exception->head = *head;
	memcpy(exception->detail, detail, head->detail_len);
	return exception;
}

void core_exception_free(struct core *core, struct exception *exception)
{
	if (exception != NULL)
		core_free(core, exception, sizeof *exception + exception->head.detail_len);
}

/* Appends printable text; what is not becomes '?'. */
static size_t append(char *out, size_t at, size_t room, const char *text, size_t max)
{
	for (size_t i = 0; i < max && text[i] != 0 && at + 1 < room; i++)
		out[at++] = text[i] >= 0x20 && text[i] <= 0x7e ? text[i] : '?';
	return at;
}

struct exception *core_exception_make(struct core *core, const struct notice *notice)
{
	const char *detail = notice->detail != NULL ? notice->detail : fos_status_text(notice->status);
	size_t length = notice->detail != NULL ? notice->detail_len : strlen(detail);
	struct wire_exception head = {.status = notice->status,
								  .node = core->config.node,
								  .process = notice->process ? notice->process->serial : 0,
								  .detail_len = (uint32_t)length};
	size_t at = append(head.where, 0, sizeof head.where, core->config.node_name,
					   sizeof core->config.node_name);
	if (notice->process != NULL) {
		at = append(head.where, at, sizeof head.where, "/", 1);
		append(head.where, at, sizeof head.where, notice->process->principal.label, FOS_LABEL_MAX);
	}
	return core_exception_copy(core, &head, (const uint8_t *)detail);
}

void core_notify(struct core *core, const struct notice *notice)
{
	if (notice->on_error == NULL)
		return;
	struct invocation inv;
	core_invocation_init(&inv, notice->account);
	core_invocation_aim(&inv, notice->on_error);
	inv.bundle = core_bundle_hold(notice->on_error->bundle);
	if (inv.bundle != NULL)
		inv.on_error = core_value_hold(inv.bundle->on_error);
	inv.exception = core_exception_make(core, notice);
	inv.trace = notice->trace;
	inv.span = notice->span;
	/* The time of what failed may be over; the notice has its own. */
	inv.end = core_time_end(core, core->config.default_time);
	inv.finishing = notice->reserved;
	if (core_submit(core, &inv) == FOS_OK)
		return;
	core->counters.dropped++;
	core_invocation_drop(core, &inv);
}
