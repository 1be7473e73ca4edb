/* Who may publish and look up which names: `--policy FILE`, or the default (root and the registry's
 * own user publish, everybody looks up).
 *
 * One rule a line, `#` begins a comment:
 *
 *     publish uid:1000 gallery.*
 *     publish gid:44   gpu
 *     lookup  any      *
 *
 * A pattern is a name, or the beginning of one followed by `*`. What no rule allows is denied; an
 * action for which the file has no rule keeps its default.
 */
#ifndef FRACTOS_REGISTRY_POLICY_H
#define FRACTOS_REGISTRY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fractos/registry.h>

enum { POLICY_RULES_MAX = 1024, POLICY_ERROR_MAX = 256 };

enum policy_action { POLICY_PUBLISH, POLICY_LOOKUP, POLICY_ACTIONS };
enum policy_who { POLICY_UID, POLICY_GID, POLICY_ANY };

struct policy_rule {
	uint8_t action; /* enum policy_action */
	uint8_t who;    /* enum policy_who */
	bool beginning; /* the pattern is the beginning of names */
	uint32_t id;
	char pattern[FOS_NAME_MAX];
};

struct policy {
	uint32_t own_uid;
	bool given[POLICY_ACTIONS]; /* the file has rules for it */
	uint32_t count;
	struct policy_rule *rules;
};

void policy_default(struct policy *policy, uint32_t own_uid);
/* Reads rules from a text. False: `error` (POLICY_ERROR_MAX bytes) names the line and what is wrong
 * with it; the policy is then as before. */
bool policy_parse(struct policy *policy, const char *text, char *error);
/* The same from a file; blocks on the file system. */
bool policy_load(struct policy *policy, const char *path, char *error);
void policy_clear(struct policy *policy);

bool policy_allows(const struct policy *policy, enum policy_action action, const fos_principal *who,
				   const char *name);

#endif
