/* Base64 (RFC 4648, standard alphabet). */
#ifndef AIRLCHAT_BASE_BASE64_H
#define AIRLCHAT_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Append the bytes of s[0..len); padding may be missing. False if a character is none of base64's.
 */
bool base64_decode(const char *s, size_t len, struct buf *out);

#endif
