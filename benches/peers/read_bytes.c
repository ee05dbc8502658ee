/* How long does it take to copy the bytes of weights from the page cache into fresh memory?
 *
 *   cc -O2 -pthread read_bytes.c -o read_bytes
 *   read_bytes THREADS FILE:OFFSET:LENGTH...    prints one JSON line
 *
 * Nothing else is done with the bytes. One anonymous, private mapping holds all of them. Its pages
 * have the usual size, unless the kernel chooses another one by itself. The reads are the first to
 * touch them. The bytes are divided evenly: of n threads, each reads one n-th with pread(2), up to
 * 8 MiB per call. The measured time starts with the main function and ends when the last thread is done.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { CALL_BYTES = 8 << 20 };

struct range {
  int file;
  off_t offset;
  size_t length;
  size_t begin; /* its position in the buffer */
};

struct share {
  const struct range *ranges;
  int count;
  char *buffer;
  size_t begin, end; /* positions in the buffer */
};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what, const char *why) {
  fprintf(stderr, "read_bytes: %s: %s\n", what, why);
  exit(1);
}

static void *read_share(void *argument) {
  const struct share *share = argument;
  size_t at = share->begin;
  for (int i = 0; i < share->count && at < share->end; i++) {
    const struct range *range = &share->ranges[i];
    while (at < share->end && at < range->begin + range->length) {
      size_t left = range->begin + range->length - at;
      if (left > share->end - at) left = share->end - at;
      if (left > CALL_BYTES) left = CALL_BYTES;
      ssize_t got = pread(range->file, share->buffer + at, left, range->offset + (off_t)(at - range->begin));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) die("pread", got == 0 ? "the file is too short" : strerror(errno));
      at += (size_t)got;
    }
  }
  return NULL;
}

/* FILE:OFFSET:LENGTH; the file's name may hold colons itself. */
static struct range parse(char *text, size_t begin) {
  char *length = strrchr(text, ':');
  if (length == NULL) die(text, "is not FILE:OFFSET:LENGTH");
  *length++ = 0;
  char *offset = strrchr(text, ':');
  if (offset == NULL) die(text, "is not FILE:OFFSET:LENGTH");
  *offset++ = 0;
  struct range range = {.file = open(text, O_RDONLY), .offset = (off_t)strtoull(offset, NULL, 10), .begin = begin};
  range.length = strtoull(length, NULL, 10);
  if (range.file < 0) die(text, strerror(errno));
  return range;
}

int main(int argc, char **argv) {
  double start = now();
  int threads = argc > 2 ? atoi(argv[1]) : 0, count = argc - 2;
  if (threads < 1) {
    fprintf(stderr, "usage: read_bytes THREADS FILE:OFFSET:LENGTH...\n");
    return 2;
  }
  struct range *ranges = calloc((size_t)count, sizeof *ranges);
  struct share *shares = calloc((size_t)threads, sizeof *shares);
  pthread_t *handles = calloc((size_t)threads, sizeof *handles);
  if (ranges == NULL || shares == NULL || handles == NULL) die("memory", "there is none");
  size_t total = 0;
  for (int i = 0; i < count; i++) {
    ranges[i] = parse(argv[2 + i], total);
    total += ranges[i].length;
  }
  char *buffer = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (buffer == MAP_FAILED) die("mmap", strerror(errno));
  for (int i = 0; i < threads; i++) {
    size_t part = (total + (size_t)threads - 1) / (size_t)threads, begin = part * (size_t)i, end = begin + part;
    shares[i] = (struct share){ranges, count, buffer, begin < total ? begin : total, end < total ? end : total};
    if (i > 0 && pthread_create(&handles[i], NULL, read_share, &shares[i]) != 0) die("a thread", "cannot be started");
  }
  read_share(&shares[0]);
  for (int i = 1; i < threads; i++)
    if (pthread_join(handles[i], NULL) != 0) die("a thread", "cannot be waited for");
  printf("{\"ready_seconds\":%.6f,\"bytes\":%zu,\"threads\":%d}\n", now() - start, total, threads);
  fflush(stdout);
  _Exit(0); /* freeing the memory is not part of the measurement */
}
