// A weight matrix [N, K] in the layout that one backend's matrix products read. Made by Backend::pack, never changed.
#pragma once
namespace fles {

struct PackedMatrix {
  int N = 0, K = 0;
  void* data = nullptr;  // owned by the backend; freed by Backend::release_packed
};

}  // namespace fles
