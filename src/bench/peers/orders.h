// How a peer's client is told what to do: lines "OPERATION SIZE ANSWER COUNT" on its stdin, each
// answered by the ns that it took, or 0, on stdout.
#ifndef FRACTOS_BENCH_PEERS_ORDERS_H
#define FRACTOS_BENCH_PEERS_ORDERS_H

#include <cstdint>
#include <cstdio>
#include <string>
#include <time.h>

struct Order {
	std::string operation;
	uint32_t size, answer, count;
};

inline uint64_t now()
{
	timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return uint64_t(t.tv_sec) * 1000000000u + uint64_t(t.tv_nsec);
}

// Obeys until stdin ends. `run` does an order once and says whether it worked.
template <typename Run> int obey(Run run)
{
	char line[128], operation[32];
	Order order;
	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		if (sscanf(line, "%31s %u %u %u", operation, &order.size, &order.answer, &order.count) != 4)
			return 2;
		order.operation = operation;
		uint64_t begin = now();
		bool ok = run(order);
		printf("%llu\n", ok ? (unsigned long long)(now() - begin) : 0);
		fflush(stdout);
	}
	return 0;
}

#endif
