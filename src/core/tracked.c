/* Tracked children: who holds them. */
#include "core/core_internal.h"

void core_tracked_object_end(struct core *core, struct object *object)
{
	(void)core, (void)object;
}

void core_tracked_session_end(struct core *core, struct session *session)
{
	(void)core, (void)session;
}

void core_tracked_run(struct core *core)
{
	(void)core;
}

void core_receive_hold(struct core *core, struct session *session, const uint8_t *bytes)
{
	(void)bytes;
	core_session_break(core, session, "a message that is not supported");
}

void core_receive_held(struct core *core, struct session *session, const uint8_t *bytes)
{
	core_receive_hold(core, session, bytes);
}

void core_receive_release(struct core *core, struct session *session, const uint8_t *bytes)
{
	core_receive_hold(core, session, bytes);
}

void core_receive_passed(struct core *core, struct session *session, const uint8_t *bytes)
{
	core_receive_hold(core, session, bytes);
}

void core_receive_none(struct core *core, struct session *session, const uint8_t *bytes)
{
	core_receive_hold(core, session, bytes);
}
