/* How long does a warm start take in the plugin alone? The benches call this time the floor.
 *
 *   cc -O2 -pthread -I DIR_OF_PJRT_C_API_H floor.c -o floor -ldl
 *   floor --compile PLUGIN.so PROGRAM.mlir EXECUTABLE_FILE    compiles and writes the serialised executable
 *   floor PLUGIN.so EXECUTABLE_FILE...                        loads them and prints one JSON line of seconds
 *
 * Run the first command once. The second command is the measurement; run it in a fresh process each
 * time. Several executables are loaded side by side, each by a separate thread.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pjrt_c_api.h"

/* CompileOptionsProto { executable_build_options (3) { num_replicas (4): 1, num_partitions (5): 1 } } */
static const char OPTIONS[] = {0x1a, 4, 0x20, 1, 0x28, 1};
static const PJRT_Api *api;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what, const char *why) {
  fprintf(stderr, "floor: %s: %s\n", what, why);
  exit(1);
}

static void check(PJRT_Error *error, const char *what) {
  if (error == NULL) return;
  PJRT_Error_Message_Args message = {.struct_size = PJRT_Error_Message_Args_STRUCT_SIZE, .error = error};
  api->PJRT_Error_Message(&message);
  fprintf(stderr, "floor: %s: %.*s\n", what, (int)message.message_size, message.message);
  exit(1);
}

static char *read_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) die(path, "cannot be read");
  *size = (size_t)ftell(file);
  rewind(file);
  char *bytes = malloc(*size + 1);
  if (bytes == NULL || fread(bytes, 1, *size, file) != *size) die(path, "cannot be read");
  fclose(file);
  return bytes;
}

static void load_plugin(const char *path) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) die(path, dlerror());
  const PJRT_Api *(*get_api)(void);
  *(void **)&get_api = dlsym(library, "GetPjrtApi");
  if (get_api == NULL) die(path, "has no GetPjrtApi");
  api = get_api();
  PJRT_Plugin_Initialize_Args initialize = {.struct_size = PJRT_Plugin_Initialize_Args_STRUCT_SIZE};
  check(api->PJRT_Plugin_Initialize(&initialize), "PJRT_Plugin_Initialize");
}

static PJRT_Client *create_client(void) {
  PJRT_Client_Create_Args create = {.struct_size = PJRT_Client_Create_Args_STRUCT_SIZE};
  check(api->PJRT_Client_Create(&create), "PJRT_Client_Create");
  return create.client;
}

static void compile_to_file(PJRT_Client *client, const char *program_path, const char *out_path) {
  PJRT_Program program = {.struct_size = PJRT_Program_STRUCT_SIZE, .format = "mlir", .format_size = 4};
  program.code = read_file(program_path, &program.code_size);
  PJRT_Client_Compile_Args compile = {.struct_size = PJRT_Client_Compile_Args_STRUCT_SIZE, .client = client, .program = &program,
                                      .compile_options = OPTIONS, .compile_options_size = sizeof OPTIONS};
  double began = now();
  check(api->PJRT_Client_Compile(&compile), "PJRT_Client_Compile");
  double compiled = now();
  PJRT_LoadedExecutable_GetExecutable_Args get = {.struct_size = PJRT_LoadedExecutable_GetExecutable_Args_STRUCT_SIZE,
                                                  .loaded_executable = compile.executable};
  check(api->PJRT_LoadedExecutable_GetExecutable(&get), "PJRT_LoadedExecutable_GetExecutable");
  PJRT_Executable_Serialize_Args serialize = {.struct_size = PJRT_Executable_Serialize_Args_STRUCT_SIZE, .executable = get.executable};
  check(api->PJRT_Executable_Serialize(&serialize), "PJRT_Executable_Serialize");
  FILE *out = fopen(out_path, "wb");
  if (out == NULL || fwrite(serialize.serialized_bytes, 1, serialize.serialized_bytes_size, out) != serialize.serialized_bytes_size ||
      fclose(out) != 0)
    die(out_path, "cannot be written");
  printf("{\"compile_seconds\":%.6f,\"executable_bytes\":%zu}\n", compiled - began, (size_t)serialize.serialized_bytes_size);
}

/* One executable, and when it was read and loaded. */
struct load {
  PJRT_Client *client;
  const char *path;
  double have_bytes, ready;
};

static void *load_executable(void *argument) {
  struct load *load = argument;
  size_t size;
  char *bytes = read_file(load->path, &size);
  load->have_bytes = now();
  PJRT_Executable_DeserializeAndLoad_Args args = {.struct_size = PJRT_Executable_DeserializeAndLoad_Args_STRUCT_SIZE,
                                                  .client = load->client,
                                                  .serialized_executable = bytes,
                                                  .serialized_executable_size = size};
  check(api->PJRT_Executable_DeserializeAndLoad(&args), "PJRT_Executable_DeserializeAndLoad");
  load->ready = now();
  return NULL;
}

int main(int argc, char **argv) {
  double start = now();
  int compiling = argc > 1 && strcmp(argv[1], "--compile") == 0;
  if (compiling ? argc != 5 : argc < 3) {
    fprintf(stderr, "usage: floor PLUGIN.so EXECUTABLE_FILE...\n       floor --compile PLUGIN.so PROGRAM.mlir EXECUTABLE_FILE\n");
    return 2;
  }
  load_plugin(argv[compiling ? 2 : 1]);
  double loaded = now();
  PJRT_Client *client = create_client();
  double created = now();
  if (compiling) {
    compile_to_file(client, argv[3], argv[4]);
    fflush(stdout);
    _Exit(0);
  }
  int count = argc - 2;
  struct load *loads = calloc((size_t)count, sizeof *loads);
  pthread_t *threads = calloc((size_t)count, sizeof *threads);
  if (loads == NULL || threads == NULL) die("memory", "there is none");
  for (int i = 0; i < count; i++) {
    loads[i].client = client;
    loads[i].path = argv[2 + i];
    if (i > 0 && pthread_create(&threads[i], NULL, load_executable, &loads[i]) != 0) die("a thread", "cannot be started");
  }
  load_executable(&loads[0]);
  for (int i = 1; i < count; i++)
    if (pthread_join(threads[i], NULL) != 0) die("a thread", "cannot be waited for");
  double ready = now(), have_bytes = created;
  for (int i = 0; i < count; i++)
    if (loads[i].have_bytes > have_bytes) have_bytes = loads[i].have_bytes;
  /* With several executables, reading ends when the last one is read. Deserialising then goes on
   * until all of them are loaded. */
  printf("{\"dlopen_seconds\":%.6f,\"client_seconds\":%.6f,\"read_seconds\":%.6f,\"deserialize_seconds\":%.6f,\"ready_seconds\":%.6f}\n",
         loaded - start, created - loaded, have_bytes - created, ready - have_bytes, ready - start);
  fflush(stdout);
  _Exit(0); /* destroying the client is not part of a start */
}
