/* The KV cache in a file, so that a prompt need not be computed again after a restart.
 *
 * It belongs to one model (its files' sizes and times, its tensors), one kind of kernels and one type of
 * cells; anything else is refused, and so is a file whose checksum is wrong: it is untrusted. */
#ifndef AIRLCHAT_ENGINE_KV_FILE_H
#define AIRLCHAT_ENGINE_KV_FILE_H

#include "engine/engine.h"

uint64_t engine_kv_bytes(const struct engine *en); /* that engine_kv_save would write now */

/* Write the committed cells: to a temporary file, 0600, synced, then renamed. */
int engine_kv_save(struct engine *en, const char *path, struct err *e);
/* Make the file's cells the committed ones. On failure none are. */
int engine_kv_load(struct engine *en, const char *path, struct err *e);

#endif
