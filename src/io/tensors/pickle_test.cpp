// Pickles by hand: what stands beside a state dict in checkpoints, and what must not be believed.
#include "io/tensors/pickle.h"

#include "base/test_folder.h"

namespace diffit::io {
namespace {

using namespace std::string_literals;
using testing::expect_rejected;
using Kind = Pickle::Kind;

std::string text(const std::string& content) {
  return "X" + std::string{static_cast<char>(content.size()), 0, 0, 0} + content;
}
std::string global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
Pickle read(const std::string& body, char protocol = 2) {
  const std::string all = "\x80"s + protocol + body + ".";
  return Pickle(std::as_bytes(std::span(all)), "p");
}
/// A tensor of two elements of the storage "0".
std::string tensor(const std::string& type = "FloatStorage") {
  return global("torch._utils", "_rebuild_tensor_v2") + "((" + text("storage") + global("torch", type) +
         text("0") + text("cpu") + "K\x02tQK\x00"s + "K\x02\x85K\x01\x85\x89)tR";
}

TEST(Pickle, ObjectsOfUnknownClassesAreOpaqueAndTheRestIsRead) {
  // {"callbacks": {ModelCheckpoint: {"monitor": "x"}}, "args": Namespace(lr=1), "kinds": {1}, "weights":
  // tensor}
  const std::string callbacks = text("callbacks") + "}" + global("lightning.callbacks", "ModelCheckpoint") +
                                "}" + text("monitor") + text("x") + "sss";
  const std::string options =
      text("args") + global("argparse", "Namespace") + ")\x81}" + text("lr") + "K\x01sbs";
  const std::string called = text("path") + global("pathlib", "PosixPath") + "(" + text("a") + "tRs";
  const std::string filled = text("list") + global("my.lists", "List") + ")\x81(K\x01K\x02" + "es";
  const Pickle pickle = read("}" + callbacks + options + called + filled + text("kinds") + "\x8f(K\x01\x90s" +
                                 text("weights") + tensor() + "s",
                             4);
  ASSERT_EQ(pickle.root().kind, Kind::dict);
  EXPECT_EQ(pickle.find(pickle.root(), "callbacks")->kind, Kind::dict);
  EXPECT_EQ(pickle.describe(*pickle.find(pickle.root(), "args")), "an object of argparse.Namespace");
  EXPECT_EQ(pickle.describe(*pickle.find(pickle.root(), "path")), "an object of pathlib.PosixPath");
  EXPECT_EQ(pickle.describe(*pickle.find(pickle.root(), "list")), "an object of my.lists.List");
  EXPECT_EQ(pickle.find(pickle.root(), "kinds")->kind, Kind::object);
  const Pickle::Value* weights = pickle.find(pickle.root(), "weights");
  ASSERT_EQ(weights->kind, Kind::tensor);
  EXPECT_EQ(pickle[weights->items[0]].integer, 2);
}

TEST(Pickle, UnsupportedTensorsAreOpaque) {
  EXPECT_EQ(read(tensor("QInt8Storage")).describe(read(tensor("QInt8Storage")).root()),
            "an object of torch._utils._rebuild_tensor_v2");
  const std::string typed = global("torch._tensor", "_rebuild_from_type_v2") + "(" +
                            global("torch._utils", "_rebuild_parameter") + global("my", "Type") + "(" +
                            tensor() + "\x88)t}tR";
  EXPECT_EQ(read(typed).root().kind, Kind::tensor);
}

TEST(Pickle, ReadsOrderedDictsOfPython2) {
  const std::string pairs = "](](" + text("a") + "K\x07" + "e](" + text("b") + "K\x08" + "ee";
  const Pickle pickle = read(global("collections", "OrderedDict") + pairs + "\x85R");
  ASSERT_EQ(pickle.root().kind, Kind::dict);
  EXPECT_EQ(pickle.find(pickle.root(), "a")->integer, 7);
  EXPECT_EQ(pickle.find(pickle.root(), "b")->integer, 8);
}

TEST(Pickle, RejectsNamesThatExecuteCode) {
  for (const auto& [module, name] :
       {std::pair("os", "system"), std::pair("posix", "system"), std::pair("subprocess", "Popen"),
        std::pair("builtins", "eval"), std::pair("__builtin__", "exec"),
        std::pair("importlib.util", "find_spec")}) {
    expect_rejected([&] { read("}" + text("x") + global(module, name) + "(" + text("ls") + "tRs"); },
                    {module + "."s + name, "do not trust"});
    expect_rejected([&] { read(text(module) + text(name) + "\x93", 4); }, {"do not trust"});
  }
}

TEST(Pickle, RejectsMalformedPickles) {
  expect_rejected([] { read("N\x81"); }, {"takes a value"});
  expect_rejected([] { read("NN\x81"); }, {"creates an object with None"});
  expect_rejected([] { read("K\x01)\x81"); }, {"creates an object of class an int"});
  expect_rejected([] { read("]}b"); }, {"sets attributes of a list"});
  expect_rejected([] { read("}(K\x01\x90"); }, {"adds items to a dict"});
  expect_rejected([] { read("N", 6); }, {"protocol 2 to 5, got 6"});
  expect_rejected([] { read(global(std::string(600, 'a'), "b")); }, {"more than 500 bytes"});
  // A list of pairs that is said again and again: what is copied is bounded.
  std::string many = "]q\x00("s;
  for (int i = 0; i < 3000; ++i) many += "K\x01K\x02\x86";
  many += "e0(";
  for (int i = 0; i < 1000; ++i) many += global("collections", "OrderedDict") + "h\x00\x85R"s;
  expect_rejected([&] { read(many + "l"); }, {"more than 1000000 values"});
}

}  // namespace
}  // namespace diffit::io
