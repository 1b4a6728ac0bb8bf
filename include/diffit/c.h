/* The C interface, for other languages: python/diffit uses it through ctypes.
 *
 * Specifications and results are JSON (UTF-8). Tensors are passed as DLPack's DLManagedTensor (dlpack.h),
 * without a copy. Every function that can fail returns a diffit_status; diffit_last_error() then describes
 * the error. No exception leaves a function, and none prints, ends the process, installs signal handlers or
 * changes LibTorch's settings (number of threads, allocator, autocast, determinism) beyond the call.
 *
 * Calls from several threads are safe. A process that was forked after the first call has none of the
 * library's threads: every call fails there, with an error that says so.
 */
#ifndef DIFFIT_C_H
#define DIFFIT_C_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct DLManagedTensor;

/* Version of this interface. It changes whenever a function or its meaning changes; added functions, jobs and
 * fields leave it as it is. */
#define DIFFIT_C_VERSION 1
int diffit_c_version(void);
/* The version of the library, such as "0.2.0", and that of LibTorch it was compiled for, such as "2.11.0". */
const char* diffit_version(void);
const char* diffit_libtorch_version(void);

typedef enum diffit_status {
  DIFFIT_OK = 0,
  DIFFIT_FAILED = 1,    /* a valid request failed: I/O, memory, values that are not finite */
  DIFFIT_INVALID = 2,   /* the request is wrong: unknown field, bad value, bad file, closed handle */
  DIFFIT_CANCELLED = 3, /* the monitor asked for the work to stop */
} diffit_status;

/* The last error of the calling thread. The texts are valid until the thread's next call. */
typedef struct diffit_error {
  diffit_status kind;
  const char* message; /* one line: what was wanted, what was got, where, what to try */
  const char* field;   /* the field of the specification that is wrong, such as "steps"; "": none */
} diffit_error;
diffit_error diffit_last_error(void);

/* The folder that holds presets/ and models/; NULL or "": found from the place of the library. */
diffit_status diffit_set_resource_folder(const char* path);

typedef enum diffit_message { DIFFIT_NOTE = 0, DIFFIT_WARNING = 1 } diffit_message;

/* Receives what long work reports. Functions that are NULL are not called. Every function is called from the
 * thread that made the call, and should return quickly. */
typedef struct diffit_monitor {
  void* user; /* passed to every function */
  /* `done` of `total` units (0: unknown); unit: plural, "images". */
  void (*progress)(void* user, int64_t done, int64_t total, const char* unit);
  void (*message)(void* user, diffit_message kind, const char* text);
  /* Events of a training: kind "step", "snapshot", "evaluated" or "skipped" with the fields of
   * diffit/train.h. */
  void (*event)(void* user, const char* kind, const char* json);
  /* Returns nonzero if the work should stop at the next safe point. */
  int (*cancelled)(void* user);
} diffit_monitor;

/* Jobs. `spec` is a JSON object with the fields of the job's specification and of RuntimeOptions:
 *
 *   sample      SampleSpec (diffit/sample.h); guidance as "guidance", "guidance_schedule",
 * "guidance_channels", "guidance_interval", "guidance_tolerance". Without "out" the result has one tensor:
 * uint8 [N, H, W, C], or with "raw" float32 [N, C, H, W] as the sampler leaves it: images in [-1, 1], or
 * latents. train       TrainSpec (diffit/train.h); "config" may also be an object, the recipe itself evaluate
 * EvaluateSpec (diffit/evaluate.h) statistics  StatisticsSpec (diffit/statistics.h) explain     ExplainSpec
 * (diffit/explain.h) encode, decode, encode_data EncodeSpec, DecodeSpec, EncodeDataSpec
 * (diffit/autoencoder.h) convert_data `diffit data convert`: data, dest, size, crop ("none", "center",
 * "adm"), labels ("auto", "folders", "none"), skip_broken, strict
 *
 * Fields that are left out or null have their defaults. On success *result is to be released with
 * diffit_result_free(). `monitor` may be NULL. */
typedef struct diffit_result diffit_result;
diffit_status diffit_run(const char* job, const char* spec, const diffit_monitor* monitor,
                         diffit_result** result);
/* The result as a JSON object. Valid as long as the result is. */
const char* diffit_result_json(const diffit_result* result);
/* The number of tensors, and one of them. The caller owns it: it ends with (*tensor)->deleter(*tensor), which
 * may be called after diffit_result_free(). */
int64_t diffit_result_tensors(const diffit_result* result);
diffit_status diffit_result_tensor(const diffit_result* result, int64_t index,
                                   struct DLManagedTensor** tensor);
void diffit_result_free(diffit_result* result);

/* Models (diffit/model.h). */
typedef struct diffit_model diffit_model;
/* Opens a model file, or a bundled model by its name. `options`: JSON object of RuntimeOptions; NULL: the
 * defaults. */
diffit_status diffit_model_open(const char* path, const char* options, diffit_model** model);
/* ModelInfo as a JSON object. Valid as long as the model is open. NULL if it is not. */
const char* diffit_model_info(const diffit_model* model);
/* D(x; sigma) of diffit/model.h, as a new tensor of the shape of x on the same device.
 *   x       float32 [B, channels, resolution, resolution], contiguous
 *   sigma   float32 [B], above 0
 *   labels  int64 [B] in 0..classes, or NULL: the null label
 * Takes ownership of the three tensors, also on failure: their deleters are called. */
diffit_status diffit_model_denoise(diffit_model* model, struct DLManagedTensor* x,
                                   struct DLManagedTensor* sigma, struct DLManagedTensor* labels,
                                   struct DLManagedTensor** denoised);
/* Ends a model. Calls that run at the time finish; later ones fail. Closing NULL or a closed model does
 * nothing. */
void diffit_model_close(diffit_model* model);

#ifdef __cplusplus
}
#endif

#endif
