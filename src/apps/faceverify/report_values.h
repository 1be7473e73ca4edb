/* The figures of a mode as people and programs read them, made of what a report holds. Serves the
 * table and the JSON. A figure that is not known is negative. */
#ifndef FACEVERIFY_REPORT_VALUES_H
#define FACEVERIFY_REPORT_VALUES_H

#include "report.h"

double value_batch_p50(const report *r, const report_mode *mode);
double value_batch_p99(const report *r, const report_mode *mode);
double value_one_p50(const report *r, const report_mode *mode);
double value_one_p99(const report *r, const report_mode *mode);
double value_rate(const report *r, const report_mode *mode);
double value_messages(const report *r, const report_mode *mode);
double value_batch_messages(const report *r, const report_mode *mode);
double value_bytes(const report *r, const report_mode *mode);
double value_kernel_bytes(const report *r, const report_mode *mode);
double value_data_bytes(const report *r, const report_mode *mode);
double value_crossings(const report *r, const report_mode *mode);
double value_kernel_crossings(const report *r, const report_mode *mode);
double value_pieces(const report *r, const report_mode *mode);
double value_control_cold(const report *r, const report_mode *mode);
double value_control_warm(const report *r, const report_mode *mode);
double value_latency_ratio(const report *r, const report_mode *mode);
double value_one_ratio(const report *r, const report_mode *mode);
double value_message_ratio(const report *r, const report_mode *mode);
double value_byte_ratio(const report *r, const report_mode *mode);

#endif
