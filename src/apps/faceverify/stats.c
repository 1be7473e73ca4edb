/* Percentiles and error rates; see stats.h. */
#include "stats.h"

#include <math.h>
#include <stdlib.h>

static int compare_doubles(const void *a, const void *b)
{
	const double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

static int compare_floats(const void *a, const void *b)
{
	const float left = *(const float *)a, right = *(const float *)b;
	return (left > right) - (left < right);
}

double stats_percentile(double *values, size_t count, double percent)
{
	if (count == 0)
		return 0;
	qsort(values, count, sizeof *values, compare_doubles);
	const double rank = ceil(percent / 100 * (double)count);
	const size_t index = rank < 1 ? 0 : (size_t)rank - 1;
	return values[index < count ? index : count - 1];
}

bool stats_equal_error(float *genuine, size_t genuine_count, float *impostor, size_t impostor_count,
					   double *eer, float *threshold)
{
	*eer = 0;
	*threshold = 0;
	if (genuine_count == 0 || impostor_count == 0)
		return false;
	qsort(genuine, genuine_count, sizeof *genuine, compare_floats);
	qsort(impostor, impostor_count, sizeof *impostor, compare_floats);
	/* Walks through all distances in order: i genuine and j impostors are accepted. */
	double closest = 2;
	for (size_t i = 0, j = 0;;) {
		const double rejects = 1 - (double)i / (double)genuine_count;
		const double accepts = (double)j / (double)impostor_count;
		const bool ends = i == genuine_count && j == impostor_count;
		if (fabs(rejects - accepts) < closest) {
			closest = fabs(rejects - accepts);
			*eer = (rejects + accepts) / 2;
			const float next = ends                  ? 1
							   : i == genuine_count  ? impostor[j]
							   : j == impostor_count ? genuine[i]
													 : fminf(genuine[i], impostor[j]);
			const float last = fmaxf(i > 0 ? genuine[i - 1] : 0, j > 0 ? impostor[j - 1] : 0);
			*threshold = last + (next - last) / 2;
		}
		if (ends)
			return true;
		/* Equal distances are accepted together. */
		float at = i < genuine_count ? genuine[i] : impostor[j];
		if (j < impostor_count && impostor[j] < at)
			at = impostor[j];
		while (i < genuine_count && genuine[i] <= at)
			i++;
		while (j < impostor_count && impostor[j] <= at)
			j++;
	}
}
