/// \file
/// A mutex that clang's thread-safety analysis understands, and the macros that speak to it. Under
/// other compilers the annotations vanish. The clang build turns their warnings into errors.
///
/// Lock order of the whole library (take in this order, never the other way round):
///  1. `engine_core::fork_mutex_`      the base that forks of the newest epoch share
///  2. `engine_core::turn_`            one commit at a time (engine/commit_queue.hpp)
///  3. `lazy_overlay::mutex_`, `fork_version::mutex_`  one evaluation per snapshot
///  4. `allocator_registry::guard`     threads and their caches (thread_caches.cpp)
///  5. `page_allocator::grow_mutex_`   one step of arena growth
/// `engine_core::pool_mutex_` and `fork_workspaces::mutex_` are taken last and alone.
#pragma once

#include <mutex>

#if defined(__clang__)
#define SHEAF_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define SHEAF_THREAD_ANNOTATION(x)
#endif
#define SHEAF_CAPABILITY(x) SHEAF_THREAD_ANNOTATION(capability(x))
#define SHEAF_SCOPED_CAPABILITY SHEAF_THREAD_ANNOTATION(scoped_lockable)
#define SHEAF_GUARDED_BY(x) SHEAF_THREAD_ANNOTATION(guarded_by(x))
#define SHEAF_PT_GUARDED_BY(x) SHEAF_THREAD_ANNOTATION(pt_guarded_by(x))
#define SHEAF_REQUIRES(...) SHEAF_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define SHEAF_ACQUIRE(...) SHEAF_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define SHEAF_RELEASE(...) SHEAF_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define SHEAF_TRY_ACQUIRE(...) SHEAF_THREAD_ANNOTATION(try_acquire_capability(__VA_ARGS__))
#define SHEAF_EXCLUDES(...) SHEAF_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
#define SHEAF_NO_THREAD_SAFETY_ANALYSIS SHEAF_THREAD_ANNOTATION(no_thread_safety_analysis)

namespace sheaf::inline v0 {

class SHEAF_CAPABILITY("mutex") mutex {
 public:
  void lock() SHEAF_ACQUIRE() { mutex_.lock(); }
  void unlock() SHEAF_RELEASE() { mutex_.unlock(); }
  [[nodiscard]] bool try_lock() SHEAF_TRY_ACQUIRE(true) { return mutex_.try_lock(); }

 private:
  std::mutex mutex_;
};

class SHEAF_SCOPED_CAPABILITY mutex_lock {
 public:
  explicit mutex_lock(mutex& held) SHEAF_ACQUIRE(held) : held_(held) { held_.lock(); }
  ~mutex_lock() SHEAF_RELEASE() { held_.unlock(); }
  mutex_lock(const mutex_lock&) = delete;
  mutex_lock& operator=(const mutex_lock&) = delete;

 private:
  mutex& held_;
};

}  // namespace sheaf::inline v0
