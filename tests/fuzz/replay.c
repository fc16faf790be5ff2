/* Runs a fuzz target over every file of a folder, so that `make check` replays what a fuzzer found;
 * then over the same files with bytes changed, a fixed number of times. Prints TAP. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mutate(uint8_t *p, size_t n, uint64_t *rng)
{
	for (int i = 0; i < 3 && n; i++) {
		*rng = *rng * 6364136223846793005u + 1442695040888963407u;
		static const uint8_t interesting[] = {0, 1, 0x7F, 0x80, 0xFF, '"', '{', ']', '9', ','};
		uint64_t r = *rng >> 33;
		p[r % n] = r & 1 << 20 ? interesting[(r >> 21) % sizeof(interesting)] : (uint8_t)(r >> 21);
	}
}

static void run(const char *path, int rounds)
{
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	if (file_read(path, 1 << 20, &b, &e) < 0) {
		printf("not ok - %s\n", e.msg);
		return;
	}
	uint8_t *copy = malloc(b.len + 1);
	uint64_t rng = b.len;
	if (!copy)
		abort();
	LLVMFuzzerTestOneInput((const uint8_t *)buf_str(&b), b.len);
	for (int i = 0; i < rounds; i++) {
		memcpy(copy, buf_str(&b), b.len);
		mutate(copy, b.len, &rng);
		LLVMFuzzerTestOneInput(copy, b.len);
	}
	free(copy);
	buf_clear(&b);
}

int main(int argc, char **argv)
{
	const char *src = getenv("srcdir"), *name = strrchr(argv[0], '/');
	struct buf dir = BUF_INIT;
	/* BUILD/tests/bin/fuzz_KIND: its corpus is tests/fuzz/corpus/KIND */
	name = strrchr(name ? name : argv[0], '_');
	buf_printf(&dir, "%s/tests/fuzz/corpus/%s", src ? src : ".", name ? name + 1 : "");
	const char *path = argc > 1 ? argv[1] : buf_str(&dir);
	DIR *d = opendir(path);
	int n = 0;
	for (struct dirent *f; d && (f = readdir(d));) {
		if (f->d_name[0] == '.')
			continue;
		char *file = path_join(path, f->d_name);
		run(file, 200);
		printf("ok %d - %s, as it is and with 200 changes\n", ++n, f->d_name);
		fflush(stdout);
		free(file);
	}
	if (d)
		closedir(d);
	printf("1..%d\n", n);
	buf_clear(&dir);
	return n == 0;
}
