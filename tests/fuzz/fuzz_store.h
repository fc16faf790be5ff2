/* The body of both fuzz targets: open a checkpoint file that holds the given bytes. */
#ifndef AIRLCHAT_TESTS_FUZZ_STORE_H
#define AIRLCHAT_TESTS_FUZZ_STORE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/checkpoint.h"
#include "store/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What every user of a checkpoint relies on. */
static void fuzz_check(const struct checkpoint *c)
{
	for (size_t i = 0; i < c->n_tensors; i++) {
		const struct tensor *t = &c->tensors[i];
		if (t->file >= c->n_files || t->bytes > c->files[t->file].size ||
			t->offset > c->files[t->file].size - t->bytes ||
			t->n_dims < 0 || t->n_dims > TENSOR_DIMS || checkpoint_find(c, t->name) != t)
			abort();
		uint64_t n = 1;
		for (int d = 0; d < t->n_dims; d++)
			n *= t->shape[d];
		if (t->dtype != DTYPE_UNKNOWN && dtype_bytes(t->dtype, n) != t->bytes)
			abort();
	}
	struct gguf_str s;
	const struct gguf_kv *kv = c->gguf ? gguf_find(c->gguf, "tokenizer.ggml.tokens") : NULL;
	for (size_t pos = 0; kv && gguf_next_string(kv, &pos, &s);)
		if (s.len && !s.p)
			abort();
}

static int fuzz_open(const uint8_t *data, size_t size, const char *suffix)
{
	char path[64];
	snprintf(path, sizeof(path), "/dev/shm/airlchat-fuzz-%ld%s", (long)getpid(), suffix);
	FILE *f = fopen(path, "wb");
	if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
		abort();
	struct err e = ERR_INIT;
	struct checkpoint *c;
	if (checkpoint_open(&c, path, 0, &e) == 0)
		fuzz_check(c);
	else if (c || e.code == ERR_NONE || !e.msg[0])
		abort();
	if (c && c->gguf)
		gguf_drop_arrays(c->gguf);
	checkpoint_close(c);
	unlink(path);
	return 0;
}

#endif
