// Stands in for libcuda.so.1. What it reports is set by the environment: STAND_IN_VERSION (13000),
// STAND_IN_INIT (the result of cuInit), STAND_IN_GPUS (how many), STAND_IN_CAPABILITY (90 for 9.0).
#include <cstdio>
#include <cstdlib>

namespace {

int setting(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

}  // namespace

extern "C" {

int cuDriverGetVersion(int* version);
int cuInit(unsigned flags);
int cuGetErrorString(int code, const char** text);
int cuDeviceGetCount(int* count);
int cuDeviceGet(int* device, int ordinal);
int cuDeviceGetName(char* name, int length, int device);
int cuDeviceTotalMem_v2(std::size_t* bytes, int device);
int cuDeviceGetAttribute(int* value, int attribute, int device);

int cuDriverGetVersion(int* version) {
  *version = setting("STAND_IN_VERSION", 13000);
  return 0;
}

int cuInit(unsigned) {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  if (visible != nullptr && *visible == '\0') return 100;  // as the real one: no device
  return setting("STAND_IN_INIT", 0);
}

int cuGetErrorString(int code, const char** text) {
  *text = code == 999 ? "unknown error" : nullptr;
  return *text == nullptr ? 1 : 0;
}

int cuDeviceGetCount(int* count) {
  *count = setting("STAND_IN_GPUS", 1);
  return 0;
}

int cuDeviceGet(int* device, int ordinal) {
  *device = ordinal;
  return 0;
}

int cuDeviceGetName(char* name, int length, int device) {
  std::snprintf(name, static_cast<std::size_t>(length), "Stand-in %d", device);
  return 0;
}

int cuDeviceTotalMem_v2(std::size_t* bytes, int) {
  *bytes = std::size_t{24} << 30;
  return 0;
}

int cuDeviceGetAttribute(int* value, int attribute, int) {
  const int capability = setting("STAND_IN_CAPABILITY", 90);
  *value = attribute == 75 ? capability / 10 : attribute == 76 ? capability % 10 : 0;
  return 0;
}

}  // extern "C"
