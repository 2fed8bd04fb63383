// C = op(A) op(B), batched: cuts the rows of a call into register tiles and decides what to copy first. Each element is
// one FMA chain, ascending, per block of 1024 along k; block sums are added ascending: no choice made here changes a
// bit. Operands are contiguous and need no alignment; C must not overlap A or B.
#include <algorithm>
#include <cstdint>
#include <utility>

#include "kernels/abi.hpp"
#include "kernels/matmul_blocking.hpp"
#include "kernels/matmul_dots.hpp"
#include "kernels/matmul_pack.hpp"
#include "kernels/matmul_tile.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {
namespace {

using namespace matmul;
using kernels::Args;
using kernels::matmul_block;
using kernels::MatmulPlan;
using kernels::Range;
using kernels::Status;

using Index = std::ptrdiff_t;

// One product of matrices.
template <class T> struct Product {
  Index m, n, k;
  const T* a;
  Index lda;
  Layout a_layout;
  const T* b;
  Index ldb;
  bool b_transposed;  // element (k, j) at b[j * ldb + k] rather than at b[k * ldb + j]
  T* c;
  Index ldc;
  bool c_transposed;  // element (i, j) at c[j * ldc + i] rather than at c[i * ldc + j]
  bool accumulate;
  Index k_offset;
};

// Tile kernels by [rows - 1][log2 of packets]; null where the accumulators would not fit into the registers.
template <class T, Layout layout, bool masked_b> struct Tiles {
  TileKernel<T> kernel[max_rows][max_log_packets + 1];
  template <int MR, int NV> static constexpr TileKernel<T> pick() {
    if constexpr (MR * NV <= max_accumulators)
      return &tile<T, MR, NV, layout, masked_b>;
    else
      return nullptr;
  }
  template <int... I> static constexpr Tiles make(std::integer_sequence<int, I...>) {
    return {{{pick<I + 1, 1>(), pick<I + 1, 2>(), pick<I + 1, 4>(), pick<I + 1, 8>(), pick<I + 1, 16>()}...}};
  }
};
template <class T, Layout layout, bool masked_b>
constexpr Tiles<T, layout, masked_b> tiles =
    Tiles<T, layout, masked_b>::make(std::make_integer_sequence<int, max_rows>());

template <class T, Layout layout> const auto* tile_table(bool masked_b) {
  return masked_b ? tiles<T, layout, has_masks>.kernel : tiles<T, layout, free_masks>.kernel;
}

// Rows of C in tiles of nearly equal height: 32 rows as 11 + 11 + 10, because 12 + 12 + 8 costs as much as 36 rows.
struct Rows {
  explicit Rows(Index m) : tiles((m + max_rows - 1) / max_rows), height(m / tiles), longer(m % tiles) {}
  int tallest() const { return static_cast<int>(height + (longer != 0)); }
  Index first_row(Index tile) const { return tile * height + std::min(tile, longer); }
  Index tiles, height, longer;  // the first `longer` tiles have one row more
};

// The next panel of columns: the most packets that a tile can hold and that are still there.
struct Panel {
  Panel(Index columns_left, int lanes, int widest) : log_packets(widest) {
    const Index full = columns_left / lanes, all = (columns_left + lanes - 1) / lanes;
    const Index usable = has_masks || full == 0 ? all : full;
    while ((Index(1) << log_packets) > usable) --log_packets;
    width = Index(lanes) << log_packets;
    valid = std::min(width, columns_left);
    last = static_cast<int>(valid - width) + lanes;
  }
  int log_packets, last;
  Index width, valid;
  bool ragged() const { return valid != width; }
};

inline constexpr int panel_rows = (max_rows + 3) / 4 * 4;  // room per k in a copied tile of A

// What to copy. A panel of B is read once per tile of rows, an element of A once per panel: copies pay when that is
// often. They bring a short stride (powers of two fight for few sets of the cache) and few pages.
// A transposed A has the elements of one k side by side already and is copied only where it does not fit the cache.
template <class T> struct Strategy {
  explicit Strategy(const Product<T>& p) : rows(p.m) {
    const Index depth = std::min<Index>(p.k, matmul_block);
    while ((rows.tallest() << widest) > max_accumulators) --widest;
    const Index panels = p.n / (Index(lanes<T>) << widest);
    copy_b = p.b_transposed || rows.tiles >= 4;
    const Index a_bytes = depth * p.lda * static_cast<Index>(sizeof(T));
    copy_a = p.a_layout == Layout::rows ? panels >= 16 && p.lda > panel_rows
                                        : panels >= 4 && a_bytes > kernels::matmul_strided_bytes;
    const Index most = kernels::matmul_block_bytes / (static_cast<Index>(sizeof(T)) * panel_rows * depth);
    const Index blocks = (rows.tiles + most - 1) / most;
    tiles_at_once = (rows.tiles + blocks - 1) / blocks;
    if (copy_b) widest = std::min(widest, 2);
  }
  Rows rows;
  Index tiles_at_once;
  int widest = max_log_packets;
  bool copy_a, copy_b;
};

// C' = B' A' is the same product. With few columns it fills packets that C would leave nearly empty; it pays where A is
// transposed already (in the gradient of a weight with few outputs) and its rows are long enough to pay for turning C.
template <class T> bool better_turned(const Product<T>& p) {
  if (p.a_layout == Layout::rows || p.n >= lanes<T>) return false;
  return p.m * p.k > p.n * ((p.m + lanes<T> - 1) / lanes<T>)*p.k + 2 * p.m * p.n;
}

template <class T> Product<T> turned(const Product<T>& p) {
  Product<T> q = p;
  q.m = p.n, q.n = p.m;
  q.a = p.b, q.lda = p.ldb, q.a_layout = p.b_transposed ? Layout::rows : Layout::columns;
  q.b = p.a, q.ldb = p.lda, q.b_transposed = p.a_layout == Layout::rows;
  q.c_transposed = !p.c_transposed;
  return q;
}

// The part of a product between two multiples of 1024 along k and for some tiles of rows.
template <class T> struct Block {
  Index first_tile, last_tile, first_row, k, depth;
  bool resume, add;
};

// A panel of B whose first element is at `b`; the first `ready` rows of the copy are there.
template <class T>
void copy_panel(T* to, const Product<T>& p, const T* b, Index ready, Index depth, const Panel& panel) {
  if (!p.b_transposed)
    return copy_rows(to + ready * panel.width, panel.width, b + ready * p.ldb, p.ldb, depth - ready,
                     static_cast<int>(panel.valid));
  for (Index v = 0; v < panel.valid; v += lanes<T>)
    transpose_packet(to + v, panel.width, b + v * p.ldb, p.ldb, depth,
                     static_cast<int>(std::min<Index>(lanes<T>, panel.valid - v)));
}

template <class T> void multiply_block(const Product<T>& p, const Strategy<T>& s, const Block<T>& block, T* scratch) {
  const Index panel_size = block.depth * (kernels::matmul_panel_bytes / static_cast<Index>(sizeof(T)));
  T *b_copy = scratch, *next_copy = scratch + panel_size;
  T* const a_copy = scratch + 2 * panel_size;
  const Rows& rows = s.rows;
  TileCall<T> call;
  call.depth = block.depth;
  call.add = block.add;
  call.start = nullptr;
  call.start_stride = call.out_stride = p.ldc;
  call.next_stride = p.ldb;
  call.ahead = nullptr;
  call.ahead_length = block.depth;
  call.ahead_stride = p.ldb;

  // From one tile of A to the next: tile_step, plus row_step per row of the tile.
  Layout layout = p.a_layout;
  const T* a =
      layout == Layout::rows ? p.a + block.first_row * p.lda + block.k : p.a + block.k * p.lda + block.first_row;
  Index row_step = layout == Layout::rows ? p.lda : 1, tile_step = 0;
  call.a_stride = p.lda;
  if (s.copy_a) {
    tile_step = panel_rows * block.depth;
    for (Index t = block.first_tile; t < block.last_tile; ++t) {
      T* to = a_copy + (t - block.first_tile) * tile_step;
      const T* from = a + (rows.first_row(t) - block.first_row) * row_step;
      const int height = static_cast<int>(rows.height + (t < rows.longer));
      if (layout == Layout::rows)
        transpose_tile(to, panel_rows, from, p.lda, block.depth, height);
      else
        copy_rows(to, panel_rows, from, p.lda, block.depth, height);
    }
    a = a_copy;
    call.a_stride = panel_rows;
    row_step = 0;
    layout = Layout::columns;
  }

  alignas(64) T buffer[max_accumulators * lanes<T>];  // a tile on its way to a transposed C
  const Index chunks = (block.depth + chunk - 1) / chunk;
  Index ready = 0;  // rows of this panel that were copied while the panel before was computed
  for (Index j = 0; j < p.n;) {
    const Panel panel(p.n - j, lanes<T>, s.widest);
    call.last = panel.last;
    const T* b = p.b_transposed ? p.b + j * p.ldb + block.k : p.b + block.k * p.ldb + j;
    const bool copied = s.copy_b || (panel.ragged() && !has_masks);
    if (copied) {
      copy_panel(b_copy, p, b, ready, block.depth, panel);
      call.b = b_copy;
      call.b_stride = panel.width;
    } else {
      call.b = b;
      call.b_stride = p.ldb;
    }
    const bool copy_next = copied && !p.b_transposed && p.n - j >= 2 * panel.width;
    // A transposed panel is copied between the tiles, so what it is copied from had better be near by then.
    call.ahead = p.b_transposed && p.n - j > panel.width ? b + panel.width * p.ldb : nullptr;
    if (call.ahead != nullptr) call.ahead_end = call.ahead + block.depth;
    const bool masked_b = panel.ragged() && !copied;
    const auto* table =
        layout == Layout::rows ? tile_table<T, Layout::rows>(masked_b) : tile_table<T, Layout::columns>(masked_b);
    const TileKernel<T> low = table[rows.height - 1][panel.log_packets];
    const TileKernel<T> high = rows.longer != 0 ? table[rows.height][panel.log_packets] : low;
    call.a = a;
    T* c = p.c + (p.c_transposed ? j * p.ldc + block.first_row : block.first_row * p.ldc + j);
    ready = 0;
    for (Index t = block.first_tile; t < block.last_tile; ++t) {
      const bool longer = t < rows.longer;
      const int height = static_cast<int>(rows.height) + longer;
      if (p.c_transposed) {
        call.out = buffer;
        call.out_stride = call.start_stride = panel.width;
        if (block.resume || block.add)
          tile_from_c(buffer, panel.width, c, p.ldc, height, static_cast<int>(panel.valid));
      } else {
        call.out = c;
      }
      if (block.resume) call.start = call.out;
      call.next_from = nullptr;
      if (copy_next && ready + chunks <= block.depth) {
        call.next_from = b + panel.width + ready * p.ldb;
        call.next_to = next_copy + ready * panel.width;
        ready += chunks;
      }
      (longer ? high : low)(call);
      if (p.c_transposed) tile_to_c(c, p.ldc, buffer, panel.width, height, static_cast<int>(panel.valid));
      call.a += tile_step + height * row_step;
      c += p.c_transposed ? height : height * p.ldc;
    }
    if (copy_next) std::swap(b_copy, next_copy);
    j += panel.width;
  }
}

// All of a product straight from its operands into C: no copy, no earlier or later part. Worth a function of its own
// because a batch of small products is little but set-up.
template <class T> bool is_direct(const Product<T>& p, const Strategy<T>& s) {
  return !s.copy_a && !s.copy_b && !p.c_transposed && !p.accumulate && p.k <= matmul_block &&
         (has_masks || p.n % lanes<T> == 0);
}
template <class T> void multiply_direct(const Product<T>& p, const Strategy<T>& s) {
  const Rows& rows = s.rows;
  const bool a_rows = p.a_layout == Layout::rows;
  const Index row_step = a_rows ? p.lda : 1;
  TileCall<T> call;
  call.a_stride = p.lda;
  call.b_stride = p.ldb;
  call.depth = p.k;
  call.start = nullptr;
  call.start_stride = call.out_stride = p.ldc;
  call.next_from = nullptr;
  call.ahead = nullptr;
  call.add = false;
  for (Index j = 0; j < p.n;) {
    const Panel panel(p.n - j, lanes<T>, s.widest);
    call.last = panel.last;
    const auto* table =
        a_rows ? tile_table<T, Layout::rows>(panel.ragged()) : tile_table<T, Layout::columns>(panel.ragged());
    call.a = p.a;
    call.b = p.b + j;
    call.out = p.c + j;
    for (Index t = 0; t < rows.tiles; ++t) {
      const Index height = rows.height + (t < rows.longer);
      table[height - 1][panel.log_packets](call);
      call.a += height * row_step;
      call.out += height * p.ldc;
    }
    j += panel.width;
  }
}

// The product as dots of few rows of one operand with all rows of the other, where that is what it is.
template <class T> bool is_dots(const Product<T>& p) {
  if (p.accumulate) return false;
  return (p.m <= most_dots && p.b_transposed && p.n >= lanes<T>) ||
         (p.n <= most_dots && p.a_layout == Layout::rows && p.m >= lanes<T>);
}
// Not inlined: it would cost all other products its stack frame.
template <class T> __attribute__((noinline)) void multiply_dots(const Product<T>& p) {
  const Index a_row = p.a_layout == Layout::rows ? p.lda : 1, a_step = p.a_layout == Layout::rows ? 1 : p.lda;
  const Index b_row = p.b_transposed ? p.ldb : 1, b_step = p.b_transposed ? 1 : p.ldb;
  if (p.m <= most_dots && p.b_transposed && p.n >= lanes<T>)
    all_dots<T>({p.m, p.n, p.k, p.a, a_row, a_step, p.b, p.ldb, p.c, p.ldc, 1});
  else
    all_dots<T>({p.n, p.m, p.k, p.b, b_row, b_step, p.a, p.lda, p.c, 1, p.ldc});
}

template <class T> void multiply(const Product<T>& p, const Strategy<T>& s, T* scratch) {
  for (Index t = 0; t < s.rows.tiles; t += s.tiles_at_once) {
    Block<T> block;
    block.first_tile = t;
    block.last_tile = std::min(s.rows.tiles, t + s.tiles_at_once);
    block.first_row = s.rows.first_row(t);
    for (block.k = 0; block.k < p.k; block.k += block.depth) {
      const Index in_block = (p.k_offset + block.k) % matmul_block;
      block.depth = std::min(p.k - block.k, matmul_block - in_block);
      block.resume = p.accumulate && in_block != 0;
      block.add = !block.resume && (p.accumulate || block.k != 0);
      multiply_block(p, s, block, scratch);
    }
  }
}

template <class T> Status matmul_rows(const Args& args, Range range, void* scratch) {
  const auto& plan = *reinterpret_cast<const MatmulPlan*>(args.plan->body);
  const T* a = static_cast<const T*>(args.in[0]);
  const T* b = static_cast<const T*>(args.in[1]);
  T* c = static_cast<T*>(args.out[0]);
  if (plan.n == 0) return Status::ok;
  const Index column = args.columns.begin, n = args.columns.end != 0 ? args.columns.end - column : plan.n;
  c += column;
  if (plan.k == 0) {
    if (!plan.accumulate)
      for (Index row = range.begin; row < range.end; ++row) std::fill_n(c + row * plan.n, n, T(0));
    return Status::ok;
  }
  // Batches that share B and whose rows of A follow one another are one product.
  const bool merge = plan.stride_b == 0 && !plan.transpose_a && plan.stride_a == plan.m * plan.k;
  const Index m = merge ? plan.batch * plan.m : plan.m;
  const auto product = [&](Index row) {
    const Index item = row / m, first = row - item * m;
    Product<T> p;
    p.m = std::min(m - first, range.end - row);
    p.n = n;
    p.k = plan.k;
    p.a_layout = plan.transpose_a ? Layout::columns : Layout::rows;
    p.lda = plan.transpose_a ? m : p.k;
    p.a = a + item * plan.stride_a + (plan.transpose_a ? first : first * p.k);
    p.ldb = plan.transpose_b ? p.k : plan.n;
    p.b_transposed = plan.transpose_b != 0;
    p.b = b + item * plan.stride_b + (plan.transpose_b ? column * p.k : column);
    p.c = c + row * plan.n;
    p.ldc = plan.n;
    p.c_transposed = false;
    p.accumulate = plan.accumulate != 0;
    p.k_offset = plan.k_offset;
    return p;
  };
  for (Index row = range.begin; row < range.end;) {
    Product<T> p = product(row);
    const bool turn = better_turned(p);
    const Index height = p.m;
    const Strategy<T> s(turn ? turned(p) : p);
    const bool direct = !turn && is_direct(p, s), dots = is_dots(p);
    // All items of the same height alike.
    do {
      if (dots)
        multiply_dots(p);
      else if (direct)
        multiply_direct(p, s);
      else
        multiply(turn ? turned(p) : p, s, static_cast<T*>(scratch));
      row += height;
      p.a += plan.stride_a;
      p.b += plan.stride_b;
      p.c += height * p.ldc;
    } while (height == m && row + height <= range.end);
  }
  return Status::ok;
}

}  // namespace
}  // namespace CHAINRULE_ISA
}  // namespace chainrule

CHAINRULE_KERNEL_TABLE(matmul) = {
    {"matmul", 0, &chainrule::matmul_rows<float>},
    {"matmul", 1, &chainrule::matmul_rows<double>},
    {nullptr, 0, nullptr},
};
