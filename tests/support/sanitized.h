/* A build with a sanitizer is many times as slow and as large: tests about time and memory allow for it. */
#ifndef AIRLCHAT_TESTS_SANITIZED_H
#define AIRLCHAT_TESTS_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#define PATIENCE (SANITIZED ? 10 : 1) /* times as long may what has a time limit take */

#endif
