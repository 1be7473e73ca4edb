/* fos_call(): a round trip as one blocking call.
 *
 *     ONCE Request made  ->  invoke with it as FOS_NEXT and on_error  ->  its one delivery
 *
 * The ONCE Request gives exactly one of result, exception and TIMED_OUT while the own Controller
 * lives, so there is no timer here.
 */
#include <string.h>

#include "client/client.h"

struct arrival {
	bool done;
	struct client_parcel *parcel; /* the delivery's; ours to put back */
};

fos_handled client_reply_arrived(fos_channel *ch, const fos_delivery *delivery, void *arg)
{
	struct arrival *arrival = arg;
	(void)ch;
	arrival->parcel = BASE_CONTAINER(delivery, struct client_parcel, delivery);
	arrival->done = true;
	return FOS_FINISH_LATER;
}

static void give_up(fos_channel *ch, fos_cap once, struct arrival *arrival)
{
	/* At once, since the arrival lives on our caller's stack. */
	client_handler_forget(ch, once);
	if (arrival->done) {
		(void)!fos_finish(ch, arrival->parcel->delivery.id);
		client_parcel_put(ch, arrival->parcel);
	} else {
		(void)!fos_cap_revoke_async(ch, once, NULL, NULL);
	}
	(void)!fos_cap_close_async(ch, once, NULL, NULL);
}

fos_status fos_call(fos_channel *ch, fos_cap request, fos_args *args, uint64_t time,
					fos_reply *reply)
{
	const fos_request_options once_options = {.once = true, .deadline = time};
	const fos_invoke_options options = {.time = time};
	struct arrival arrival = {0};
	fos_args none;
	fos_cap once;
	memset(reply, 0, sizeof *reply);
	if (args == NULL) {
		args = &none;
		fos_args_init(args);
	}
	if (args->status != FOS_OK)
		return reply->status = args->status;
	reply->status = fos_request_create(ch, client_reply_arrived, &arrival, &once_options, &once);
	if (reply->status != FOS_OK)
		return reply->status;
	fos_args_cap(args, FOS_CALL, FOS_NEXT, once);
	fos_args_on_error(args, FOS_CALL, once);
	reply->status = fos_request_invoke(ch, request, args, &options);
	if (reply->status == FOS_OK && !client_wait_for(ch, &arrival.done))
		reply->status = FOS_CONTROLLER_LOST;
	if (reply->status != FOS_OK) {
		give_up(ch, once, &arrival);
		return reply->status;
	}
	(void)!fos_cap_close_async(ch, once, NULL, NULL);
	reply->delivery = arrival.parcel->delivery;
	reply->internal = arrival.parcel;
	reply->status = reply->delivery.exception.status;
	return reply->status;
}

void fos_reply_release(fos_channel *ch, fos_reply *reply)
{
	if (reply->internal == NULL)
		return;
	(void)!fos_finish(ch, reply->delivery.id); /* CONTROLLER_LOST ends the delivery too */
	client_parcel_put(ch, reply->internal);
	reply->internal = NULL;
}
