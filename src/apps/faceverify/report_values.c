/* The figures of a mode; see report_values.h. */
#include "report_values.h"

#include "lbp.h"

double report_crossings(double bytes)
{
	return (bytes - LBP_PHOTO) / LBP_PHOTO;
}

double value_batch_p50(const report *r, const report_mode *mode)
{
	return mode->batches > 0 ? mode->batch_p50_us / 1e3 : -1;
}

double value_batch_p99(const report *r, const report_mode *mode)
{
	return mode->batches > 0 ? mode->batch_p99_us / 1e3 : -1;
}

double value_one_p50(const report *r, const report_mode *mode)
{
	return mode->ones > 0 ? mode->one_p50_us : -1;
}

double value_one_p99(const report *r, const report_mode *mode)
{
	return mode->ones > 0 ? mode->one_p99_us : -1;
}

double value_rate(const report *r, const report_mode *mode)
{
	return mode->batches > 0 ? mode->per_s : -1;
}

double value_messages(const report *r, const report_mode *mode)
{
	return mode->counted && r->has_recorders ? mode->net_messages : -1;
}

double value_batch_messages(const report *r, const report_mode *mode)
{
	return mode->counted && r->has_recorders
			   ? (double)meter_messages(&mode->warm) / mode->counted_batches
			   : -1;
}

double value_bytes(const report *r, const report_mode *mode)
{
	return mode->counted && r->has_recorders ? mode->net_bytes : -1;
}

double value_kernel_bytes(const report *r, const report_mode *mode)
{
	return mode->counted && r->has_netdevs ? mode->kernel_bytes : -1;
}

double value_data_bytes(const report *r, const report_mode *mode)
{
	return mode->counted && r->has_recorders ? mode->net_data_bytes : -1;
}

double value_crossings(const report *r, const report_mode *mode)
{
	const double seen = value_data_bytes(r, mode);
	return seen >= 0 ? report_crossings(seen) : -1;
}

double value_kernel_crossings(const report *r, const report_mode *mode)
{
	const double seen = value_kernel_bytes(r, mode);
	return seen >= 0 ? report_crossings(seen) : -1;
}

double value_pieces(const report *r, const report_mode *mode)
{
	if (mode->counted)
		return (double)mode->warm_pieces / mode->counted_batches;
	return mode->pieces > 0 ? (double)mode->pieces : -1;
}

static double of_piece(const report *r, const report_mode *mode, uint64_t messages, uint64_t pieces)
{
	return mode->counted && r->has_recorders && pieces > 0 ? (double)messages / (double)pieces : -1;
}

double value_control_cold(const report *r, const report_mode *mode)
{
	return of_piece(r, mode, meter_control_messages(&mode->cold), mode->cold_pieces);
}

double value_control_warm(const report *r, const report_mode *mode)
{
	return of_piece(r, mode, meter_control_messages(&mode->warm), mode->warm_pieces);
}

/* What `value` is of `mode`, over what it is of the chain. */
static double over_chain(const report *r, const report_mode *mode,
						 double (*value)(const report *, const report_mode *))
{
	const report_mode *chain = &r->modes[VERIFY_CHAIN];
	const double whole = chain->ran ? value(r, chain) : -1, part = value(r, mode);
	return whole > 0 && part >= 0 ? part / whole : -1;
}

double value_latency_ratio(const report *r, const report_mode *mode)
{
	return over_chain(r, mode, value_batch_p50);
}

double value_one_ratio(const report *r, const report_mode *mode)
{
	return over_chain(r, mode, value_one_p50);
}

double value_message_ratio(const report *r, const report_mode *mode)
{
	return over_chain(r, mode, value_messages);
}

double value_byte_ratio(const report *r, const report_mode *mode)
{
	return over_chain(r, mode, r->has_netdevs ? value_kernel_bytes : value_bytes);
}
