/* Runs a SavedModel signature from images, and perhaps attributes, to images by TensorFlow's C API.
 *
 * Usage: saved_model_c_api MODEL IN OUT BATCH HEIGHT WIDTH RESULT IMAGE [EXPRESSION LIGHTING]
 * IN: uint8 pixels, then int32 expressions, then int32 lightings. OUT: the uint8 pixels answered.
 * RESULT to LIGHTING: graph operations of the signature; of RESULT the first output is taken.
 * Exit status: TensorFlow's error code, with its message on stderr; 64 for wrong use.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tensorflow/c/c_api.h"

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

static TF_Tensor* read_tensor(FILE* file, TF_DataType type, const int64_t* dims, int rank) {
  size_t bytes = TF_DataTypeSize(type);
  for (int i = 0; i < rank; ++i) bytes *= (size_t)dims[i];
  TF_Tensor* tensor = TF_AllocateTensor(type, dims, rank, bytes);
  if (fread(TF_TensorData(tensor), 1, bytes, file) != bytes) die("IN is too short");
  return tensor;
}

static TF_Output first_output(TF_Graph* graph, const char* name) {
  TF_Output output = {TF_GraphOperationByName(graph, name), 0};
  if (output.oper == NULL) die(name);
  return output;
}

int main(int argc, char** argv) {
  if (argc != 9 && argc != 11) die("see the head of saved_model_c_api.c");
  const int count = argc - 8;
  const int64_t dims[4] = {atoll(argv[4]), atoll(argv[5]), atoll(argv[6]), 3};

  TF_Status* status = TF_NewStatus();
  TF_Graph* graph = TF_NewGraph();
  TF_SessionOptions* options = TF_NewSessionOptions();
  const char* tags[] = {"serve"};
  TF_Session* session =
      TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph, NULL, status);
  check(status);

  FILE* in = fopen(argv[2], "rb");
  if (in == NULL) die("IN cannot be read");
  TF_Tensor* values[3];
  values[0] = read_tensor(in, TF_UINT8, dims, 4);
  for (int i = 1; i < count; ++i) values[i] = read_tensor(in, TF_INT32, dims, 1);
  fclose(in);

  TF_Output inputs[3];
  for (int i = 0; i < count; ++i) inputs[i] = first_output(graph, argv[8 + i]);
  TF_Output result = first_output(graph, argv[7]);
  TF_Tensor* answer = NULL;
  TF_SessionRun(session, NULL, inputs, values, count, &result, &answer, 1, NULL, 0, NULL, status);
  check(status);

  FILE* out = fopen(argv[3], "wb");
  const size_t bytes = TF_TensorByteSize(answer);
  if (out == NULL || fwrite(TF_TensorData(answer), 1, bytes, out) != bytes) {
    die("OUT cannot be written");
  }
  fclose(out);

  TF_DeleteTensor(answer);
  for (int i = 0; i < count; ++i) TF_DeleteTensor(values[i]);
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
