/* The set of faces; see dataset.h. A *pool* of photos that are not in the gallery is gathered
 * first; probes are drawn from it in a shuffled order, again and again if more are wanted. */
#include "dataset.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "synth.h"

enum {
	FILES_MAX = 4096,             /* photos of one identity */
	CALIBRATION_IDENTITIES = 128, /* of the generator's second population */
	CALIBRATION_IMPOSTORS = 8     /* pairs for each calibration photo */
};

typedef struct pool_photo {
	uint32_t identity;
	char *source;
	char *error; /* NULL: `photo` is good */
	uint8_t photo[LBP_PHOTO];
} pool_photo;

typedef struct photo_pool {
	pool_photo *photos;
	uint32_t count, room;
} photo_pool;

static uint64_t draw(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

static bool fail(char error[PHOTO_ERROR_MAX], const char *text, const char *what)
{
	(void)snprintf(error, PHOTO_ERROR_MAX, "%s%s", text, what);
	return false;
}

static pool_photo *pool_add(photo_pool *pool)
{
	if (pool->count == pool->room) {
		const uint32_t room = pool->room == 0 ? 256 : pool->room * 2;
		pool_photo *grown = realloc(pool->photos, room * sizeof *grown);
		if (grown == NULL)
			return NULL;
		pool->photos = grown;
		pool->room = room;
	}
	pool_photo *photo = &pool->photos[pool->count++];
	memset(photo, 0, sizeof *photo);
	return photo;
}

static void pool_free(photo_pool *pool)
{
	for (uint32_t i = 0; i < pool->count; i++) {
		free(pool->photos[i].source);
		free(pool->photos[i].error);
	}
	free(pool->photos);
}

/* ------------------------------------------------------------------ from a folder */

/* The sorted names in a folder that are wanted; -1: *error. */
static int list_folder(const char *path, int (*wanted)(const struct dirent *),
					   struct dirent ***names, char error[PHOTO_ERROR_MAX])
{
	const int count = scandir(path, names, wanted, alphasort);
	if (count < 0)
		(void)snprintf(error, PHOTO_ERROR_MAX, "%.180s: %s", path, strerror(errno));
	return count;
}

static void free_names(struct dirent **names, int count)
{
	for (int i = 0; i < count; i++)
		free(names[i]);
	if (count >= 0)
		free(names);
}

static int wanted_identity(const struct dirent *entry)
{
	return entry->d_name[0] != '.' &&
		   (entry->d_type == DT_DIR || entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN);
}

static int wanted_photo(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && photo_has_name(entry->d_name);
}

/* Says and counts that a file is of no use. */
static void complain(const dataset_options *options, dataset *set, const char *path,
					 const char *why)
{
	char text[1024];
	(void)snprintf(text, sizeof text, "%.700s: %s", path, why);
	set->unreadable++;
	if (options->complain != NULL)
		options->complain(text);
}

/* Takes one identity's photos: the first readable one for the gallery, the others for the pool. */
static bool take_identity(const dataset_options *options, const char *name, dataset *set,
						  photo_pool *pool, char error[PHOTO_ERROR_MAX])
{
	char folder[1024], path[1400], why[PHOTO_ERROR_MAX];
	if (strlen(name) >= DATASET_NAME_MAX ||
		snprintf(folder, sizeof folder, "%s/%s", options->folder, name) >= (int)sizeof folder)
		return fail(error, "the name is too long: ", name);
	struct stat stat_of;
	if (stat(folder, &stat_of) != 0 || !S_ISDIR(stat_of.st_mode))
		return true;
	struct dirent **names = NULL;
	const int count = list_folder(folder, wanted_photo, &names, error);
	if (count < 0)
		return false;
	dataset_identity *identity = &set->identities[set->identity_count];
	bool enrolled = false, ok = true;
	for (int i = 0; ok && i < count && i < FILES_MAX && pool->count < DATASET_PROBES_MAX; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
		if (!enrolled) {
			enrolled = photo_load(path, identity->photo, why);
			if (!enrolled)
				complain(options, set, path, why);
			continue;
		}
		pool_photo *photo = pool_add(pool);
		ok = photo != NULL && (photo->source = strdup(path)) != NULL;
		if (ok && !photo_load(path, photo->photo, why)) {
			complain(options, set, path, why);
			ok = (photo->error = strdup(why)) != NULL;
		}
		if (ok)
			photo->identity = set->identity_count;
	}
	free_names(names, count);
	if (!ok)
		return fail(error, "no memory", "");
	if (!enrolled) {
		complain(options, set, folder, "no photo in it can be read: not enrolled");
		return true;
	}
	memcpy(identity->name, name, strlen(name) + 1);
	set->identity_count++;
	return true;
}

static bool take_folder(const dataset_options *options, dataset *set, photo_pool *pool,
						char error[PHOTO_ERROR_MAX])
{
	struct dirent **names = NULL;
	const int count = list_folder(options->folder, wanted_identity, &names, error);
	if (count < 0)
		return false;
	bool ok = true;
	for (int i = 0; ok && i < count && set->identity_count < DATASET_IDENTITIES_MAX; i++)
		ok = take_identity(options, names[i]->d_name, set, pool, error);
	free_names(names, count);
	if (ok && set->identity_count == 0)
		ok = fail(error, "no photos like FOLDER/<identity>/<any>.{pgm,jpg,png} in ",
				  options->folder);
	if (ok && pool->count == 0)
		ok = fail(error, "no identity has a second photo in ", options->folder);
	return ok;
}

/* ------------------------------------------------------------------ from the generator */

static bool take_synthetic(const dataset_options *options, dataset *set, photo_pool *pool,
						   char error[PHOTO_ERROR_MAX])
{
	synth_identity *face = malloc(sizeof *face);
	bool ok = face != NULL;
	for (uint32_t i = 0; ok && i < options->identities; i++) {
		dataset_identity *identity = &set->identities[i];
		(void)snprintf(identity->name, sizeof identity->name, "face-%04u", i);
		synth_make_identity(face, options->seed, i);
		synth_make_photo(face, 0, identity->photo);
		for (uint32_t number = 1; i + (number - 1) * options->identities < options->probes;
			 number++) {
			pool_photo *photo = pool_add(pool);
			ok = photo != NULL && asprintf(&photo->source, "face-%04u photo %u", i, number) > 0;
			if (!ok)
				break;
			photo->identity = i;
			synth_make_photo(face, number, photo->photo);
		}
	}
	set->identity_count = options->identities;
	free(face);
	return ok || fail(error, "no memory", "");
}

/* ------------------------------------------------------------------ calibration */

/* Distances among `people` x `each` histograms, person by person. */
static bool compare_all(dataset *set, const uint8_t (*histograms)[LBP_HISTOGRAM], uint32_t people,
						uint32_t each, uint64_t seed)
{
	set->genuine = calloc((size_t)people * each + 1, sizeof(float));
	set->impostor = calloc((size_t)people * each * CALIBRATION_IMPOSTORS + 1, sizeof(float));
	if (set->genuine == NULL || set->impostor == NULL)
		return false;
	for (uint32_t i = 0; i < people; i++) {
		for (uint32_t k = 1; k < each; k++) {
			const uint8_t *photo = histograms[i * each + k];
			set->genuine[set->genuine_count++] = (float)lbp_distance(histograms[i * each], photo);
			for (unsigned j = 0; people > 1 && j < CALIBRATION_IMPOSTORS; j++) {
				const uint32_t other = (i + 1 + (uint32_t)(draw(&seed) % (people - 1))) % people;
				set->impostor[set->impostor_count++] =
					(float)lbp_distance(histograms[other * each], photo);
			}
		}
	}
	return true;
}

static bool calibrate_synthetic(dataset *set, uint64_t seed)
{
	enum { EACH = 3 };
	uint8_t(*histograms)[LBP_HISTOGRAM] =
		malloc(sizeof *histograms * CALIBRATION_IDENTITIES * EACH);
	synth_identity *face = malloc(sizeof *face);
	bool ok = histograms != NULL && face != NULL;
	for (uint32_t i = 0; ok && i < CALIBRATION_IDENTITIES; i++) {
		synth_make_identity(face, ~seed, i);
		for (uint32_t k = 0; k < EACH; k++) {
			uint8_t photo[LBP_PHOTO];
			synth_make_photo(face, k, photo);
			lbp_histogram(photo, histograms[i * EACH + k]);
		}
	}
	ok = ok && compare_all(set, (const uint8_t(*)[LBP_HISTOGRAM])histograms, CALIBRATION_IDENTITIES,
						   EACH, seed);
	free(face);
	free(histograms);
	return ok;
}

/* Two probe photos of each identity that has them; where none has, its gallery photo and one. */
static bool calibrate_folder(dataset *set, const photo_pool *pool, uint64_t seed)
{
	enum { EACH = 2 };
	uint8_t(*histograms)[LBP_HISTOGRAM] =
		malloc(sizeof *histograms * (size_t)set->identity_count * EACH);
	if (histograms == NULL)
		return false;
	uint32_t people = 0;
	for (int with_gallery = 0; with_gallery < 2 && people == 0; with_gallery++) {
		uint32_t found = 0; /* of the identity that the walk is at */
		for (uint32_t i = 0; i < pool->count; i++) {
			const pool_photo *photo = &pool->photos[i];
			if (i == 0 || photo->identity != pool->photos[i - 1].identity)
				found = 0;
			if (photo->error != NULL || found == EACH)
				continue;
			if (found == 0 && with_gallery)
				lbp_histogram(set->identities[photo->identity].photo,
							  histograms[people * EACH + found++]);
			lbp_histogram(photo->photo, histograms[people * EACH + found++]);
			people += found == EACH;
		}
	}
	const bool ok =
		compare_all(set, (const uint8_t(*)[LBP_HISTOGRAM])histograms, people, EACH, seed);
	free(histograms);
	return ok;
}

/* ------------------------------------------------------------------ probes */

/* A claim for a photo of `identity`: true, or, for about half, of somebody else. */
static void claim(dataset *set, dataset_probe *probe, uint32_t identity, uint64_t *state)
{
	probe->genuine = set->identity_count == 1 || draw(state) % 2 == 0;
	if (!probe->genuine)
		identity = (identity + 1 + (uint32_t)(draw(state) % (set->identity_count - 1))) %
				   set->identity_count;
	probe->name = set->identities[identity].name;
}

static bool draw_probes(const dataset_options *options, dataset *set, const photo_pool *pool,
						char error[PHOTO_ERROR_MAX])
{
	const uint32_t count = options->probes > 0 ? options->probes : pool->count;
	uint32_t *order = calloc(pool->count, sizeof *order);
	set->probes = calloc(count, sizeof *set->probes);
	set->photos = calloc(count, LBP_PHOTO);
	bool ok = order != NULL && set->probes != NULL && set->photos != NULL;
	uint64_t state = options->seed * 2 + 1;
	for (uint32_t i = 0; ok && i < pool->count; i++) {
		const uint32_t j = (uint32_t)(draw(&state) % (i + 1));
		order[i] = order[j];
		order[j] = i;
	}
	for (uint32_t i = 0; ok && i < count; i++) {
		const pool_photo *photo = &pool->photos[order[i % pool->count]];
		dataset_probe *probe = &set->probes[i];
		set->probe_count = i + 1;
		claim(set, probe, photo->identity, &state);
		memcpy(set->photos + (size_t)i * LBP_PHOTO, photo->photo, LBP_PHOTO);
		ok = (probe->source = strdup(photo->source)) != NULL &&
			 (photo->error == NULL || (probe->error = strdup(photo->error)) != NULL);
	}
	free(order);
	return ok || fail(error, "no memory", "");
}

bool dataset_make(const dataset_options *options, dataset *out, char error[PHOTO_ERROR_MAX])
{
	*out = (dataset){0};
	photo_pool pool = {0};
	const uint32_t room = options->folder != NULL ? DATASET_IDENTITIES_MAX : options->identities;
	if (options->probes > DATASET_PROBES_MAX || room > DATASET_IDENTITIES_MAX || room == 0 ||
		(options->folder == NULL && options->probes == 0))
		return fail(error, "too many or no identities or probes", "");
	out->identities = calloc(room + 1u, sizeof *out->identities);
	bool ok = out->identities != NULL || fail(error, "no memory", "");
	ok = ok && (options->folder != NULL ? take_folder(options, out, &pool, error)
										: take_synthetic(options, out, &pool, error));
	if (ok && !(options->folder != NULL ? calibrate_folder(out, &pool, options->seed)
										: calibrate_synthetic(out, options->seed)))
		ok = fail(error, "no memory", "");
	ok = ok && draw_probes(options, out, &pool, error);
	pool_free(&pool);
	if (!ok)
		dataset_free(out);
	return ok;
}

void dataset_free(dataset *set)
{
	for (uint32_t i = 0; i < set->probe_count; i++) {
		free(set->probes[i].source);
		free(set->probes[i].error);
	}
	free(set->identities);
	free(set->probes);
	free(set->photos);
	free(set->genuine);
	free(set->impostor);
	*set = (dataset){0};
}
