/* Any bytes as a chat template, rendered with messages of a user. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "chat/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char messages[] = "[{\"role\": \"user\", \"content\": \"a {} %s <b> \\u00e9\", \"k\": 1},"
				       " {\"role\": \"assistant\", \"content\": null, \"k\": 2.5}]";
	static const char vars[] = "{\"l\": [3, 1, 2], \"d\": {\"a\": [1, {\"b\": true}]}, \"s\": \"Hello\", \"big\": 12345678901234567890}";
	const struct template_input in = {.messages_json = messages, .messages_len = strlen(messages),
		.add_generation_prompt = true, .bos_token = "<s>", .kwargs_json = vars, .now = 1700000000};
	struct err e = ERR_INIT;
	struct template *t;
	struct text out;
	struct tok_span *spans;
	size_t n;
	if (template_new(&t, (const char *)data, size, &e) < 0)
		return 0;
	if (template_render(t, &in, &out, &e) == 0) {
		if (out.user.len != out.bytes.len) /* each byte has an origin */
			abort();
		if (text_spans(&out, &spans, &n, &e) == 0)
			free(spans);
		text_clear(&out);
	}
	template_free(t);
	return 0;
}
