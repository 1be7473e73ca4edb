/* monitor_receive: who waits to hear that a capability became invalid. */
#include "core/core_internal.h"

static void refuse(struct core *core, const struct caller *caller)
{
	struct wire_answer_monitored *record = core_output_record(
		core, caller->channel, WIRE_ANSWER_TYPE_MONITORED, sizeof *record, caller->cookie);
	record->status = FOS_UNSUPPORTED;
	record->gone = FOS_GONE_NOT;
	core->counters.calls_refused++;
}

void core_call_monitor_receive(struct core *core, struct caller *caller, const uint8_t *bytes)
{
	(void)bytes;
	refuse(core, caller);
}

void core_call_monitor_delegate(struct core *core, struct caller *caller, const uint8_t *bytes)
{
	(void)bytes;
	refuse(core, caller);
}

void core_watch_send(struct core *core, struct session *session, struct cleanup *cleanup)
{
	(void)core, (void)session, (void)cleanup;
}

void core_watch_object_end(struct core *core, struct object *object, enum fos_gone why)
{
	(void)core, (void)object, (void)why;
}

unsigned core_watch_tell(struct core *core, struct session *session, unsigned portion)
{
	(void)core, (void)session;
	return portion;
}

void core_watch_session_end(struct core *core, struct session *session)
{
	(void)core, (void)session;
}

void core_watch_process_end(struct core *core, struct process *process)
{
	(void)core, (void)process;
}

void core_watch_peer_gone(struct core *core, struct session *session, uint32_t process)
{
	(void)core, (void)session, (void)process;
}

void core_receive_watch(struct core *core, struct session *session, const uint8_t *bytes)
{
	(void)bytes;
	core_session_break(core, session, "a message that is not supported");
}

void core_receive_fired(struct core *core, struct session *session, const uint8_t *bytes)
{
	core_receive_watch(core, session, bytes);
}

void core_receive_unwatch(struct core *core, struct session *session, const uint8_t *bytes)
{
	core_receive_watch(core, session, bytes);
}
