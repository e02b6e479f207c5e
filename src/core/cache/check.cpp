// The structure of a stripe, gone through from all sides.
#include <string>
#include <vector>

#include "teamscale/core/cache/arena.h"
#include "teamscale/core/cache/stripe.h"

namespace teamscale::core {

namespace {

class StripeCheck {
 public:
  explicit StripeCheck(const Stripe& stripe) : stripe_(stripe), used_(stripe.block_count()) {}

  std::string Run() {
    for (std::uint32_t i = 0; i < stripe_.bucket_count() && problem_.empty(); ++i) CheckBucket(i);
    CheckQueue(kSmall);
    CheckQueue(kMain);
    CheckFree();
    Same("entries", entries_, Get(stripe_.header().entries));
    Same("entries in queues", entries_, queued_);
    Same("blocks", used_blocks_ + free_, stripe_.block_count() - 1);
    return problem_;
  }

 private:
  void Complain(const std::string& problem) {
    if (problem_.empty()) problem_ = problem;
  }

  void Same(const char* what, std::uint64_t counted, std::uint64_t kept) {
    if (counted != kept)
      Complain(std::string(what) + ": counted " + std::to_string(counted) + ", kept " +
               std::to_string(kept));
  }

  bool Use(std::uint64_t block) {
    if (block == 0 || block >= stripe_.block_count() || used_[block]) {
      Complain("block " + std::to_string(block) + " is used twice, or is none");
      return false;
    }
    used_[block] = true;
    return true;
  }

  void CheckBucket(std::uint32_t index) {
    CacheBucket& bucket = stripe_.bucket(index);
    if (Get(bucket.version) & 1) Complain("a bucket is being changed");
    for (Word& word : bucket.references) {
      std::uint64_t reference = Get(word);
      if (reference == 0) continue;
      std::uint32_t entry = Low(reference);
      if (!Use(entry)) return;
      std::uint64_t hash = Get(stripe_.block(entry).words[kHashWord]);
      if (stripe_.BucketOf(hash) != &bucket || TagOf(hash) != TagOf(reference))
        Complain("an entry is in a bucket that is not its own");
      CheckChain(entry);
      ++entries_;
    }
  }

  void CheckChain(std::uint32_t entry) {
    std::uint32_t count = stripe_.ChainLength(entry);
    used_blocks_ += count;
    std::uint32_t block = Low(Get(stripe_.block(entry).words[kChainWord]));
    for (std::uint32_t i = 1; i < count; ++i) {
      if (!Use(block)) return;
      block = Low(Get(stripe_.block(block).words[0]));
    }
    if (block != 0) Complain("a chain is longer than its entry");
  }

  void CheckQueue(Queue queue) {
    std::uint64_t blocks = 0;
    std::uint32_t previous = 0;
    auto entry = static_cast<std::uint32_t>(Get(stripe_.header().first[queue]));
    while (entry != 0 && problem_.empty()) {
      Block& block = stripe_.block(entry);
      if (!used_[entry] || High(Get(block.words[kChainWord])) != queue)
        Complain("a queue has an entry that is not in it");
      if (High(Get(block.words[kQueueWord])) != previous) Complain("a queue is broken");
      blocks += stripe_.ChainLength(entry);
      ++queued_;
      previous = entry;
      entry = Low(Get(block.words[kQueueWord]));
    }
    Same("blocks of a queue", blocks, Get(stripe_.header().size[queue]));
    Same("the end of a queue", previous, Get(stripe_.header().last[queue]));
  }

  void CheckFree() {
    std::uint64_t block = Get(stripe_.header().free_block);
    while (block != 0 && problem_.empty()) {
      if (!Use(block)) return;
      ++free_;
      block = Low(Get(stripe_.block(block).words[kChainWord]));
    }
    Same("free blocks", free_, Get(stripe_.header().free_blocks));
  }

  const Stripe& stripe_;
  std::vector<bool> used_;
  std::string problem_;
  std::uint64_t entries_ = 0;
  std::uint64_t queued_ = 0;
  std::uint64_t used_blocks_ = 0;
  std::uint64_t free_ = 0;
};

}  // namespace

std::string Arena::Check(std::uint32_t stripe_index) const {
  Stripe stripe(*this, stripe_index);
  return StripeCheck(stripe).Run();
}

}  // namespace teamscale::core
