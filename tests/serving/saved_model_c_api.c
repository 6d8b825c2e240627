/* Runs one output of a SavedModel signature by TensorFlow's C API.
 *
 * Usage: saved_model_c_api MODEL RESULT OUT {INPUT TYPE DIMENSIONS IN}...
 * RESULT, INPUT: graph tensors, as operation:index. TYPE: number of the data type. DIMENSIONS: of the
 * input, as 2x30x21x3. IN, OUT: files with the raw numbers; strings are 8 bytes of length, native
 * order, and the content, one after the other.
 * Exit status: TensorFlow's error code, with its message on stderr; 64 for wrong use.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

enum { MOST_INPUTS = 8, MOST_DIMENSIONS = 8 };

static void check(TF_Status* status) {
  if (TF_GetCode(status) != TF_OK) {
    fprintf(stderr, "%s\n", TF_Message(status));
    exit(TF_GetCode(status));
  }
}

static void die(const char* what) {
  fprintf(stderr, "%s\n", what);
  exit(64);
}

static void read_all(void* into, size_t bytes, FILE* file) {
  if (fread(into, 1, bytes, file) != bytes) die("IN is too short");
}

static void write_all(const void* from, size_t bytes, FILE* file) {
  if (fwrite(from, 1, bytes, file) != bytes) die("OUT cannot be written");
}

static FILE* open_file(const char* path, const char* mode) {
  FILE* file = fopen(path, mode);
  if (file == NULL) die(path);
  return file;
}

static TF_Tensor* read_tensor(const char* path, TF_DataType type, char* dimensions) {
  int64_t dims[MOST_DIMENSIONS], count = 1;
  int rank = 0;
  for (char* part = strtok(dimensions, "x"); part != NULL; part = strtok(NULL, "x")) {
    if (rank == MOST_DIMENSIONS) die("too many DIMENSIONS");
    count *= dims[rank++] = atoll(part);
  }
  FILE* file = open_file(path, "rb");
  const size_t bytes = (size_t)count * (type == TF_STRING ? sizeof(TF_TString) : TF_DataTypeSize(type));
  TF_Tensor* tensor = TF_AllocateTensor(type, dims, rank, bytes);
  if (type != TF_STRING) {
    read_all(TF_TensorData(tensor), bytes, file);
  } else {
    TF_TString* strings = TF_TensorData(tensor);
    for (int64_t i = 0; i < count; ++i) {
      uint64_t length;
      read_all(&length, sizeof(length), file);
      TF_StringInit(&strings[i]);
      char* content = malloc(length + 1);
      read_all(content, length, file);
      TF_StringCopy(&strings[i], content, length);
      free(content);
    }
  }
  fclose(file);
  return tensor;
}

static void write_tensor(const char* path, const TF_Tensor* tensor) {
  FILE* file = open_file(path, "wb");
  if (TF_TensorType(tensor) != TF_STRING) {
    write_all(TF_TensorData(tensor), TF_TensorByteSize(tensor), file);
  } else {
    const TF_TString* strings = TF_TensorData(tensor);
    for (int64_t i = 0; i < TF_TensorElementCount(tensor); ++i) {
      const uint64_t length = TF_StringGetSize(&strings[i]);
      write_all(&length, sizeof(length), file);
      write_all(TF_StringGetDataPointer(&strings[i]), length, file);
    }
  }
  if (fclose(file) != 0) die("OUT cannot be written");
}

static TF_Output find(TF_Graph* graph, char* tensor) {
  char* colon = strrchr(tensor, ':');
  if (colon == NULL) die(tensor);
  *colon = '\0';
  TF_Output output = {TF_GraphOperationByName(graph, tensor), atoi(colon + 1)};
  if (output.oper == NULL) die(tensor);
  return output;
}

int main(int argc, char** argv) {
  const int count = (argc - 4) / 4;
  if (argc < 8 || argc % 4 != 0 || count > MOST_INPUTS) die("see the head of saved_model_c_api.c");

  TF_Status* status = TF_NewStatus();
  TF_Graph* graph = TF_NewGraph();
  TF_SessionOptions* options = TF_NewSessionOptions();
  const char* tags[] = {"serve"};
  TF_Session* session =
      TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph, NULL, status);
  check(status);

  TF_Output inputs[MOST_INPUTS];
  TF_Tensor* values[MOST_INPUTS];
  for (int i = 0; i < count; ++i) {
    char** given = argv + 4 + 4 * i;
    inputs[i] = find(graph, given[0]);
    values[i] = read_tensor(given[3], (TF_DataType)atoi(given[1]), given[2]);
  }
  TF_Output result = find(graph, argv[2]);
  TF_Tensor* answer = NULL;
  TF_SessionRun(session, NULL, inputs, values, count, &result, &answer, 1, NULL, 0, NULL, status);
  check(status);
  write_tensor(argv[3], answer);

  TF_DeleteTensor(answer);
  for (int i = 0; i < count; ++i) TF_DeleteTensor(values[i]);
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
