/* The job; see job.h. All modes do the same batches in turn, so that whatever else happens on the
 * machine meets them alike; the mode that begins changes from round to round. */
#include "job.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dataset.h"
#include "gallery.h"
#include "stats.h"

enum {
	ROUNDS_MIN = 40,
	ROUNDS_MAX = 2000,
	ONES_MAX = 2000,
	COUNTED_BATCHES = 16, /* whose messages are counted, warm */
	PICTURED_BATCHES = 7, /* one of which is drawn */
	SPAN_LOOKS = 30,      /* for spans that come late; a look lasts some milliseconds */
	WARM_BATCHES = 2,
	SPANS_MAX = 8192,
	PATIENCE_S = 15, /* for the services at the start */
	OUTAGE_S = 10    /* that a batch is tried again for, whose services died */
};

struct job {
	const job_options *options;
	meter *meter;
	report *report;
	dataset set;
	fos_process *process;
	fos_channel *ch;
	gallery *known;
	verifier *verifier;
	uint8_t *photos; /* the probes', in the arena */
	uint32_t batch;  /* as large as there are probes for */
	uint64_t trace;
	bool shows; /* progress */

	float *distances;                    /* of each probe; negative: none yet */
	uint32_t probe_of[VERIFY_BATCH_MAX]; /* the batch under way: which probe a query is */
	uint32_t asked, failed, pieces;      /* queries and pieces of the batch under way */
	bool given_up;                       /* services stayed away, or the Controller is lost */
	char failure[VERIFY_ERROR_MAX];      /* the first one's */
	double *batch_us[VERIFY_MODES], *one_us[VERIFY_MODES];
};

static const uint64_t SECOND = 1000000000; /* ns */

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void job_defaults(job_options *options)
{
	*options = (job_options){.identities = 256,
							 .batch = 256,
							 .piece = 32,
							 .depth = 8,
							 .modes = {true, true, true, true},
							 .seed = 1,
							 .threshold = -1,
							 .timeout = 1500000000u,
							 .seconds = 15};
}

__attribute__((format(printf, 2, 3))) static void show(const struct job *job, const char *format,
													   ...)
{
	if (!job->shows)
		return;
	(void)fputs("\r\033[K", stderr);
	va_list list;
	va_start(list, format);
	(void)vfprintf(stderr, format, list);
	va_end(list);
	(void)fflush(stderr);
}

__attribute__((format(printf, 2, 3))) static bool complain(const struct job *job,
														   const char *format, ...)
{
	show(job, "%s", "");
	(void)fputs("faceverify: ", stderr);
	va_list list;
	va_start(list, format);
	(void)vfprintf(stderr, format, list);
	va_end(list);
	(void)fputc('\n', stderr);
	return false;
}

static void complain_photo(const char *text)
{
	(void)fprintf(stderr, "faceverify: photo %s\n", text);
}

/* ------------------------------------------------------------------ before the first batch */

static bool make_set(struct job *job)
{
	const job_options *o = job->options;
	const dataset_options options = {.folder = o->photos,
									 .identities = o->identities,
									 .probes =
										 o->probes > 0 || o->photos != NULL ? o->probes : 1024,
									 .seed = o->seed,
									 .complain = complain_photo};
	char error[PHOTO_ERROR_MAX];
	show(job, o->photos != NULL ? "reading photos ..." : "making faces ...");
	if (!dataset_make(&options, &job->set, error))
		return complain(job, "%s", error);
	if (job->set.identity_count == 1)
		complain(job,
				 "there is one identity alone: no probe is an impostor's, so that false accepts "
				 "and the equal error rate say nothing");
	job->batch = o->batch < job->set.probe_count ? o->batch : job->set.probe_count;
	job->report->batch = job->batch;
	job->report->identities = job->set.identity_count;
	return true;
}

static bool choose_threshold(struct job *job)
{
	report *r = job->report;
	dataset *set = &job->set;
	float threshold = 0;
	if (stats_equal_error(set->genuine, set->genuine_count, set->impostor, set->impostor_count,
						  &r->calibration_eer, &threshold))
		r->threshold = (double)threshold;
	else
		r->threshold = 0.24; /* of synthetic faces: one photo a person calibrates nothing */
	if (job->options->threshold >= 0) {
		r->threshold = job->options->threshold;
		r->calibration_eer = 0;
	}
	return true;
}

static bool attach(struct job *job)
{
	const fos_attach_options options = {.label = "faceverify"};
	fos_status status = fos_attach(&options, &job->process);
	if (status != FOS_OK)
		return complain(job, "cannot attach to the Controller: %s", fos_attach_error());
	status = fos_channel_open(job->process, &job->ch);
	const size_t size = (size_t)job->set.probe_count * LBP_PHOTO;
	void *photos = NULL;
	if (status == FOS_OK)
		status = fos_alloc(job->process, size, 4096, &photos);
	if (status != FOS_OK)
		return complain(job, "cannot get memory for the photos: %s", fos_status_text(status));
	memcpy(photos, job->set.photos, size);
	job->photos = photos;
	return true;
}

static bool connect_services(struct job *job)
{
	const job_options *o = job->options;
	const verify_options options = {.piece = o->piece,
									.depth = o->depth,
									.timeout = o->timeout,
									.patience = PATIENCE_S * SECOND};
	show(job, "waiting for the services ...");
	job->known = gallery_new();
	if (job->known != NULL)
		job->verifier =
			verify_open(job->ch, &options, job->known, job->photos, job->set.probe_count);
	if (job->verifier == NULL)
		return complain(job, "no memory");
	if (verify_connect(job->verifier) != FOS_OK)
		return complain(job, "%s", verify_error(job->verifier));
	return true;
}

static bool enrol(struct job *job)
{
	const uint32_t count = job->set.identity_count;
	gallery_entry *entries = calloc(count, sizeof *entries);
	if (entries == NULL)
		return complain(job, "no memory");
	for (uint32_t i = 0; i < count; i++)
		entries[i] = (gallery_entry){job->set.identities[i].name, job->set.identities[i].photo};
	show(job, "enrolling %u identities ...", count);
	char error[GALLERY_ERROR_MAX] = "";
	const uint64_t begin = now_ns();
	const fos_status status =
		gallery_enrol(job->known, job->ch, verify_fs(job->verifier), entries, count, NULL, error);
	job->report->enrol_s = (double)(now_ns() - begin) / 1e9;
	free(entries);
	return status == FOS_OK || complain(job, "enrolling the gallery failed: %s", error);
}

/* ------------------------------------------------------------------ one batch */

static void take_verdict(void *arg, uint32_t query, const verify_verdict *verdict)
{
	struct job *job = arg;
	const uint32_t probe = job->probe_of[query];
	if (verdict->status != FOS_OK) {
		if (job->failed++ == 0)
			(void)snprintf(job->failure, sizeof job->failure, "%s", verdict->error);
	} else if (job->distances[probe] < 0) {
		job->distances[probe] = verdict->distance;
	} else if (job->distances[probe] != verdict->distance) {
		job->report->disagreements++;
	}
}

/* Verifies the probes [first, first + count) that have photos; *us is how long it took. False: not
 * all have a verdict; said how many and why. */
static bool run_batch(struct job *job, verify_mode mode, uint32_t first, uint32_t count, double *us)
{
	verify_query queries[VERIFY_BATCH_MAX];
	uint32_t asked = 0;
	for (uint32_t i = first; i < first + count; i++) {
		if (job->set.probes[i].error != NULL)
			continue;
		job->probe_of[asked] = i;
		queries[asked++] = (verify_query){i, job->set.probes[i].name};
	}
	*us = 0;
	job->asked = asked;
	job->pieces = 0;
	if (asked == 0)
		return true;
	job->failed = 0;
	job->trace += VERIFY_BATCH_MAX * 2;
	const uint64_t begin = now_ns();
	const fos_status status = verify_batch(job->verifier, mode, queries, asked, job->trace,
										   take_verdict, job, &job->pieces);
	*us = (double)(now_ns() - begin) / 1e3;
	if (status == FOS_OK)
		return true;
	return complain(job, "%s: %u of %u verifications ended without a verdict after %.0f ms: %s",
					verify_mode_name(mode), job->failed, asked, *us / 1e3, job->failure);
}

static bool is_lost(const struct job *job)
{
	return job->ch != NULL && fos_lost(job->ch);
}

/* The same, again while services are away: the next batch finds them when they are back, and waits
 * for them as long as it may. False: some queries have no verdict, or, `given_up`, nobody came. */
static bool insist(struct job *job, verify_mode mode, uint32_t first, uint32_t count, double *us)
{
	const uint64_t end = now_ns() + OUTAGE_S * SECOND;
	for (;;) {
		if (run_batch(job, mode, first, count, us))
			return true;
		job->given_up = is_lost(job);
		if (job->given_up || verify_fs(job->verifier) != FOS_CAP_NONE)
			return false;
		if (now_ns() >= end) {
			job->given_up = true;
			return complain(job, "given up: services stayed away for %d s", OUTAGE_S);
		}
	}
}

/* The batch of round `round`: rounds go through all probes again and again. */
static uint32_t first_of(const struct job *job, uint32_t round)
{
	return round % (job->set.probe_count / job->batch) * job->batch;
}

/* ------------------------------------------------------------------ every probe */

static void count_verdicts(struct job *job)
{
	report *r = job->report;
	float *genuine = calloc(job->set.probe_count, sizeof *genuine);
	float *impostor = calloc(job->set.probe_count, sizeof *impostor);
	size_t genuine_count = 0, impostor_count = 0;
	r->probes = job->set.probe_count;
	for (uint32_t i = 0; i < r->probes && genuine != NULL && impostor != NULL; i++) {
		const dataset_probe *probe = &job->set.probes[i];
		const float distance = job->distances[i];
		if (distance < 0) {
			r->errors++;
			continue;
		}
		const bool accepted = (double)distance <= r->threshold;
		r->correct += accepted == probe->genuine;
		r->false_accept += accepted && !probe->genuine;
		r->false_reject += !accepted && probe->genuine;
		if (probe->genuine)
			genuine[genuine_count++] = distance;
		else
			impostor[impostor_count++] = distance;
	}
	float unused;
	r->has_eer =
		stats_equal_error(genuine, genuine_count, impostor, impostor_count, &r->eer, &unused);
	free(genuine);
	free(impostor);
}

/* All probes, once, in each mode: verdicts are of the first, the others must agree. */
static bool verify_all(struct job *job)
{
	for (verify_mode mode = 0; mode < VERIFY_MODES; mode++) {
		if (!job->options->modes[mode])
			continue;
		job->report->modes[mode].ran = true;
		for (uint32_t first = 0; first < job->set.probe_count; first += job->batch) {
			const uint32_t left = job->set.probe_count - first;
			double us;
			show(job, "verifying all probes, %s, %u of %u ...", verify_mode_name(mode), first,
				 job->set.probe_count);
			insist(job, mode, first, left < job->batch ? left : job->batch, &us);
			job->report->modes[mode].pieces = job->pieces;
			if (job->given_up)
				return false;
		}
	}
	return true;
}

/* ------------------------------------------------------------------ measuring */

static void note_batch(struct job *job, verify_mode mode, double us)
{
	report_mode *m = &job->report->modes[mode];
	if (job->asked == 0) /* no probe of it has a photo: nothing was done */
		return;
	job->batch_us[mode][m->batches++] = us;
	m->verified += job->asked;
	m->pieces = job->pieces;
}

/* Whose turn it is in a round: ABCD, DCBA, BCDA, ADCB, ... so that over eight rounds each mode has
 * had each place twice and each other mode before it as often from either side. */
static verify_mode mode_of(uint32_t round, unsigned turn)
{
	const unsigned first = round / 2, step = round % 2 == 0 ? turn : VERIFY_MODES - 1 - turn;
	return (first + step) % VERIFY_MODES;
}

static bool measure_batches(struct job *job)
{
	const job_options *o = job->options;
	const uint64_t begin = now_ns();
	const uint32_t limit = o->rounds > 0 && o->rounds < ROUNDS_MAX ? o->rounds : ROUNDS_MAX;
	for (uint32_t round = 0; round < limit; round++) {
		const double passed = (double)(now_ns() - begin) / 1e9;
		if (o->rounds == 0 && passed > o->seconds && round >= ROUNDS_MIN)
			break;
		if (round % 10 == 0)
			show(job, "measuring batches, round %u, %.0f of %.0f s ...", round, passed, o->seconds);
		for (unsigned turn = 0; turn < VERIFY_MODES; turn++) {
			const verify_mode mode = mode_of(round, turn);
			double us;
			if (!o->modes[mode])
				continue;
			if (run_batch(job, mode, first_of(job, round), job->batch, &us))
				note_batch(job, mode, us);
			else if (!insist(job, mode, first_of(job, round), job->batch, &us))
				return false;
		}
	}
	return true;
}

static bool measure_ones(struct job *job)
{
	const job_options *o = job->options;
	const uint64_t begin = now_ns();
	for (uint32_t i = 0; i < ONES_MAX; i++) {
		if ((double)(now_ns() - begin) / 1e9 > o->seconds / 3 && i >= ROUNDS_MIN)
			break;
		if (i % 100 == 0)
			show(job, "measuring single verifications, %u ...", i);
		const uint32_t probe = i % job->set.probe_count;
		for (unsigned turn = 0; turn < VERIFY_MODES; turn++) {
			const verify_mode mode = mode_of(i, turn);
			report_mode *m = &job->report->modes[mode];
			double us;
			if (!o->modes[mode] || job->set.probes[probe].error != NULL)
				continue;
			if (run_batch(job, mode, probe, 1, &us))
				job->one_us[mode][m->ones++] = us;
			else if (!insist(job, mode, probe, 1, &us))
				return false;
		}
	}
	return true;
}

/* The first probe of the first batch that has photos; 0 where none has. */
static uint32_t first_readable(const struct job *job)
{
	for (uint32_t i = 0; i < job->set.probe_count; i++)
		if (job->set.probes[i].error == NULL)
			return i / job->batch * job->batch;
	return 0;
}

/* Counts some batches after the first ones. False: not all came through. */
static bool count_warm(struct job *job, verify_mode mode, meter_reading *difference)
{
	report_mode *m = &job->report->modes[mode];
	meter_reading before, after;
	double us, verifications = 0; /* probes without a photo are not asked for */
	uint32_t batches = 0;
	uint64_t pieces = 0;
	meter_read(job->meter, &before);
	for (uint32_t i = 0; i < COUNTED_BATCHES; i++) {
		if (!run_batch(job, mode, first_of(job, i), job->batch, &us))
			return false;
		batches += job->asked > 0;
		pieces += job->pieces;
		verifications += job->asked;
	}
	meter_read(job->meter, &after);
	if (batches == 0)
		return true;
	meter_difference(&before, &after, difference);
	m->net_messages = (double)meter_messages(difference) / verifications;
	m->net_bytes = (double)meter_bytes(difference) / verifications;
	m->net_data_bytes = (double)meter_data_bytes(difference) / verifications;
	m->kernel_bytes = (double)difference->kernel_bytes / verifications;
	m->counted_batches = batches;
	m->warm_pieces = pieces;
	m->counted = true;
	return true;
}

/* Messages and bytes of the first batch of a mode and of some later ones. Where services died
 * meanwhile there is nothing to be counted; false: they stayed away. */
static bool count_messages(struct job *job, verify_mode mode)
{
	report_mode *m = &job->report->modes[mode];
	const uint32_t first = first_readable(job);
	meter_reading before, after;
	double us;
	meter_read(job->meter, &before);
	const bool cold = run_batch(job, mode, first, job->batch, &us);
	meter_read(job->meter, &after);
	meter_difference(&before, &after, &m->cold);
	m->cold_pieces = job->pieces;
	for (int i = 0; i < WARM_BATCHES; i++)
		if (!insist(job, mode, first, job->batch, &us))
			return !job->given_up;
	/* What was lost is found again by the next batch, which every other part of the job does. */
	if (!count_warm(job, mode, &m->warm))
		return insist(job, mode, first, job->batch, &us) || !job->given_up;
	m->counted = m->counted && cold;
	return true;
}

static int by_total(const void *a, const void *b)
{
	const double left = ((const where_picture *)a)->total_us;
	const double right = ((const where_picture *)b)->total_us;
	return (left > right) - (left < right);
}

/* The spans of the last batch, when all of them are there; 0: they did not come. */
static uint32_t spans_of_batch(struct job *job, const meter_reading *before, uint32_t pieces,
							   fos_recorder_span *out)
{
	for (int look = 0; look < SPAN_LOOKS; look++) {
		meter_reading now;
		meter_read(job->meter, &now); /* takes its time */
		const uint32_t count = meter_spans(job->meter, before, job->trace, pieces, out, SPANS_MAX);
		if (where_is_whole(out, count, job->trace, pieces))
			return count;
	}
	return 0;
}

/* The course of the batch of median latency among a few. False: services stayed away. */
static bool draw(struct job *job, verify_mode mode)
{
	where_picture pictures[PICTURED_BATCHES];
	unsigned count = 0;
	fos_recorder_span *spans = malloc(SPANS_MAX * sizeof *spans);
	for (unsigned i = 0; i < PICTURED_BATCHES && spans != NULL; i++) {
		meter_reading before;
		double us;
		meter_read(job->meter, &before);
		const bool ok = insist(job, mode, first_of(job, i), job->batch, &us);
		if (job->given_up)
			break;
		if (!ok || job->asked == 0)
			continue;
		const uint64_t end = now_ns(), begin = end - (uint64_t)(us * 1e3);
		const uint32_t found = spans_of_batch(job, &before, job->pieces, spans);
		if (found > 0)
			where_make(spans, found, begin, end, &pictures[count++]);
	}
	free(spans);
	if (count > 0) {
		qsort(pictures, count, sizeof pictures[0], by_total);
		job->report->modes[mode].where = pictures[count / 2];
	}
	return !job->given_up;
}

static void summarize(struct job *job)
{
	for (verify_mode mode = 0; mode < VERIFY_MODES; mode++) {
		report_mode *m = &job->report->modes[mode];
		double sum = 0;
		for (uint32_t i = 0; i < m->batches; i++)
			sum += job->batch_us[mode][i];
		m->per_s = sum > 0 ? (double)m->verified / sum * 1e6 : 0;
		m->batch_p50_us = stats_percentile(job->batch_us[mode], m->batches, 50);
		m->batch_p99_us = stats_percentile(job->batch_us[mode], m->batches, 99);
		m->one_p50_us = stats_percentile(job->one_us[mode], m->ones, 50);
		m->one_p99_us = stats_percentile(job->one_us[mode], m->ones, 99);
	}
}

static bool measure(struct job *job)
{
	for (verify_mode mode = 0; mode < VERIFY_MODES; mode++) {
		job->batch_us[mode] = calloc(ROUNDS_MAX, sizeof(double));
		job->one_us[mode] = calloc(ONES_MAX, sizeof(double));
		if (job->batch_us[mode] == NULL || job->one_us[mode] == NULL)
			return complain(job, "no memory");
	}
	if (!measure_batches(job) || !measure_ones(job))
		return false;
	for (verify_mode mode = 0; mode < VERIFY_MODES && meter_has_recorders(job->meter); mode++) {
		if (!job->options->modes[mode])
			continue;
		show(job, "drawing where the time goes, %s ...", verify_mode_name(mode));
		if (!draw(job, mode))
			return false;
	}
	summarize(job);
	return true;
}

/* ------------------------------------------------------------------ all of it */

static bool work(struct job *job)
{
	if (!make_set(job) || !choose_threshold(job) || !attach(job) || !connect_services(job) ||
		!enrol(job))
		return false;
	job->distances = malloc(job->set.probe_count * sizeof *job->distances);
	if (job->distances == NULL)
		return complain(job, "no memory");
	for (uint32_t i = 0; i < job->set.probe_count; i++)
		job->distances[i] = -1;
	const bool counts = meter_has_recorders(job->meter) || meter_has_netdevs(job->meter);
	for (verify_mode mode = 0; mode < VERIFY_MODES && counts && !job->options->once; mode++) {
		if (!job->options->modes[mode])
			continue;
		show(job, "counting messages, %s ...", verify_mode_name(mode));
		if (!count_messages(job, mode))
			return false;
	}
	if (!verify_all(job))
		return false;
	count_verdicts(job);
	return job->options->once || measure(job);
}

bool job_run(const job_options *options, meter *m, report *out)
{
	struct job job = {.options = options, .meter = m, .report = out};
	memset(out, 0, sizeof *out);
	out->piece = options->piece;
	out->depth = options->depth;
	out->has_recorders = meter_has_recorders(m);
	out->has_netdevs = meter_has_netdevs(m);
	job.shows = !options->quiet && isatty(STDERR_FILENO);
	job.trace = (uint64_t)getpid() << 40 | 1; /* traces of two clients should not meet */

	const bool ok = work(&job);
	show(&job, "%s", "");
	if (!ok && is_lost(&job))
		complain(&job, "the Controller of node %s is gone: `fractos start %s/fractosd`, then again",
				 fos_node_name(job.process), fos_node_name(job.process));
	out->connections = verify_connections(job.verifier);
	verify_close(job.verifier);
	gallery_free(job.known);
	fos_detach(job.process);
	dataset_free(&job.set);
	free(job.distances);
	for (verify_mode mode = 0; mode < VERIFY_MODES; mode++) {
		free(job.batch_us[mode]);
		free(job.one_us[mode]);
	}
	return ok;
}
