/* tokenizer_config.json: the texts of the roles (bos, eos ...). */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "tokenizer/pipeline.h"

int load_roles(struct tokenizer *t, const char *dir, struct err *e)
{
	char *path = path_join(dir, "tokenizer_config.json");
	struct buf text = BUF_INIT;
	if (!path)
		return err_nomem(e);
	int rc = file_exists(path) ? file_read(path, (size_t)64 << 20, &text, e) : 0;
	cJSON *j = rc == 0 && text.len ? cJSON_ParseWithLength(text.p, text.len) : NULL;
	for (int i = 0; j && i < N_ROLES; i++) {
		const cJSON *v = cJSON_GetObjectItemCaseSensitive(j, tokenizer_role_names[i]);
		if (cJSON_IsObject(v))
			v = cJSON_GetObjectItemCaseSensitive(v, "content");
		if (cJSON_IsString(v) && !(t->roles[i] = strdup(v->valuestring)))
			rc = err_nomem(e);
	}
	cJSON_Delete(j);
	buf_clear(&text);
	free(path);
	return rc;
}
