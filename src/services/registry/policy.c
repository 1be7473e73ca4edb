/* See policy.h. */
#include "policy.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 1 << 20 }; /* bytes of a policy file */

void policy_default(struct policy *policy, uint32_t own_uid)
{
	*policy = (struct policy){.own_uid = own_uid};
}

void policy_clear(struct policy *policy)
{
	free(policy->rules);
	policy_default(policy, policy->own_uid);
}

__attribute__((format(printf, 3, 4))) static bool refuse(char *error, unsigned line,
														 const char *format, ...)
{
	char what[POLICY_ERROR_MAX / 2];
	va_list list;
	va_start(list, format);
	vsnprintf(what, sizeof what, format, list);
	va_end(list);
	snprintf(error, POLICY_ERROR_MAX, "line %u: %s", line, what);
	return false;
}

static bool parse_who(const char *text, struct policy_rule *rule)
{
	if (!strcmp(text, "any")) {
		rule->who = POLICY_ANY;
		return true;
	}
	if (strncmp(text, "uid:", 4) != 0 && strncmp(text, "gid:", 4) != 0)
		return false;
	rule->who = text[0] == 'u' ? POLICY_UID : POLICY_GID;
	if (text[4] < '0' || text[4] > '9')
		return false;
	char *end;
	errno = 0;
	unsigned long id = strtoul(text + 4, &end, 10);
	rule->id = (uint32_t)id;
	return errno == 0 && *end == 0 && id <= UINT32_MAX;
}

static bool parse_pattern(const char *text, struct policy_rule *rule)
{
	size_t len = strlen(text);
	if (len > 0 && text[len - 1] == '*') {
		rule->beginning = true;
		len--;
	}
	if (len >= sizeof rule->pattern || (len == 0 && !rule->beginning))
		return false;
	memcpy(rule->pattern, text, len);
	return strspn(rule->pattern, "abcdefghijklmnopqrstuvwxyz0123456789._/-") == len;
}

/* One line, which is changed. False: it is wrong. An empty one gives no rule. */
static bool parse_line(char *line, unsigned number, struct policy_rule *rule, bool *is_rule,
					   char *error)
{
	char *comment = strchr(line, '#');
	if (comment)
		*comment = 0;
	char *rest;
	const char *action = strtok_r(line, " \t\r", &rest);
	*is_rule = action != NULL;
	if (!action)
		return true;
	const char *who = strtok_r(NULL, " \t\r", &rest);
	const char *pattern = strtok_r(NULL, " \t\r", &rest);
	*rule = (struct policy_rule){0};
	if (!who || !pattern || strtok_r(NULL, " \t\r", &rest))
		return refuse(error, number, "three words are needed: publish or lookup, who, which names");
	if (!strcmp(action, "publish"))
		rule->action = POLICY_PUBLISH;
	else if (!strcmp(action, "lookup"))
		rule->action = POLICY_LOOKUP;
	else
		return refuse(error, number, "\"%s\" is neither publish nor lookup", action);
	if (!parse_who(who, rule))
		return refuse(error, number, "\"%s\" is not uid:NUMBER, gid:NUMBER or any", who);
	if (!parse_pattern(pattern, rule))
		return refuse(error, number, "\"%s\" is neither a name nor the beginning of one and *",
					  pattern);
	return true;
}

bool policy_parse(struct policy *policy, const char *text, char *error)
{
	struct policy_rule *rules = calloc(POLICY_RULES_MAX, sizeof *rules);
	char *copy = strdup(text);
	bool good = rules && copy;
	uint32_t count = 0;
	unsigned number = 1;
	if (!good)
		snprintf(error, POLICY_ERROR_MAX, "out of memory");
	for (char *line = copy, *next; good && line; line = next, number++) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		struct policy_rule rule;
		bool is_rule;
		good = parse_line(line, number, &rule, &is_rule, error);
		if (good && is_rule && count == POLICY_RULES_MAX)
			good = refuse(error, number, "more than %d rules", POLICY_RULES_MAX);
		else if (good && is_rule)
			rules[count++] = rule;
	}
	free(copy);
	if (!good) {
		free(rules);
		return false;
	}
	policy_clear(policy);
	policy->rules = rules;
	policy->count = count;
	for (uint32_t i = 0; i < count; i++)
		policy->given[rules[i].action] = true;
	return true;
}

bool policy_load(struct policy *policy, const char *path, char *error)
{
	FILE *file = fopen(path, "re");
	if (!file) {
		snprintf(error, POLICY_ERROR_MAX, "%s", strerror(errno));
		return false;
	}
	bool good = false;
	char *text = calloc(1, FILE_MAX);
	size_t len = text ? fread(text, 1, FILE_MAX, file) : 0;
	if (!text || ferror(file))
		snprintf(error, POLICY_ERROR_MAX, "cannot be read");
	else if (len == FILE_MAX)
		snprintf(error, POLICY_ERROR_MAX, "is larger than %d bytes", FILE_MAX - 1);
	else
		good = policy_parse(policy, text, error);
	free(text);
	fclose(file);
	return good;
}

static bool matches(const struct policy_rule *rule, const fos_principal *who, const char *name)
{
	if ((rule->who == POLICY_UID && rule->id != who->uid) ||
		(rule->who == POLICY_GID && rule->id != who->gid))
		return false;
	return rule->beginning ? !strncmp(name, rule->pattern, strlen(rule->pattern))
						   : !strcmp(name, rule->pattern);
}

bool policy_allows(const struct policy *policy, enum policy_action action, const fos_principal *who,
				   const char *name)
{
	if (!policy->given[action])
		return action == POLICY_LOOKUP || who->uid == 0 || who->uid == policy->own_uid;
	for (uint32_t i = 0; i < policy->count; i++)
		if (policy->rules[i].action == action && matches(&policy->rules[i], who, name))
			return true;
	return false;
}
