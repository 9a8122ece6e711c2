// RUN: rapt-opt %s -split-input-file -verify-diagnostics

// One function for each constraint of attn.sdpa, named by its label in AttnOps.td.

func.func @sdpa_c1_rank(%q: tensor<4x5x16xf32>, %k: tensor<1x4x7x16xf32>) -> tensor<1x4x5x16xf32> {
  // expected-error @+1 {{'attn.sdpa' op expects query to have rank 4, but it has 3}}
  %o = attn.sdpa query(%q) key(%k) value(%k) {scale = 1.0 : f64}
     : (tensor<4x5x16xf32>, tensor<1x4x7x16xf32>, tensor<1x4x7x16xf32>) -> tensor<1x4x5x16xf32>
  return %o : tensor<1x4x5x16xf32>
}

// -----

func.func @sdpa_c1_type(%q: tensor<1x4x5x16xf32>, %k: tensor<1x4x7x16xf16>) -> tensor<1x4x5x16xf32> {
  // expected-error @+1 {{expects key to have the float element type of query ('f32'), but it has 'f16'}}
  %o = attn.sdpa query(%q) key(%k) value(%k) {scale = 1.0 : f64}
     : (tensor<1x4x5x16xf32>, tensor<1x4x7x16xf16>, tensor<1x4x7x16xf16>) -> tensor<1x4x5x16xf32>
  return %o : tensor<1x4x5x16xf32>
}

// -----

func.func @sdpa_c2_heads_not_multiple(%q: tensor<1x6x5x16xf32>, %k: tensor<1x4x7x16xf32>) -> tensor<1x6x5x16xf32> {
  // expected-error @+1 {{expects query heads (6) to be a multiple of kv heads (4)}}
  %o = attn.sdpa query(%q) key(%k) value(%k) {scale = 1.0 : f64}
     : (tensor<1x6x5x16xf32>, tensor<1x4x7x16xf32>, tensor<1x4x7x16xf32>) -> tensor<1x6x5x16xf32>
  return %o : tensor<1x6x5x16xf32>
}

// -----

func.func @sdpa_c2_dynamic_heads(%q: tensor<1x?x5x16xf32>, %k: tensor<1x4x7x16xf32>) -> tensor<1x?x5x16xf32> {
  // expected-error @+1 {{expects static numbers of heads}}
  %o = attn.sdpa query(%q) key(%k) value(%k) {scale = 1.0 : f64}
     : (tensor<1x?x5x16xf32>, tensor<1x4x7x16xf32>, tensor<1x4x7x16xf32>) -> tensor<1x?x5x16xf32>
  return %o : tensor<1x?x5x16xf32>
}

// -----

func.func @sdpa_c3_head_dim(%q: tensor<1x4x5x16xf32>, %k: tensor<1x4x7x8xf32>, %v: tensor<1x4x7x16xf32>) -> tensor<1x4x5x16xf32> {
  // expected-error @+1 {{expects the head_dim of query and key to agree, but they are 16 and 8}}
  %o = attn.sdpa query(%q) key(%k) value(%v) {scale = 1.0 : f64}
     : (tensor<1x4x5x16xf32>, tensor<1x4x7x8xf32>, tensor<1x4x7x16xf32>) -> tensor<1x4x5x16xf32>
  return %o : tensor<1x4x5x16xf32>
}

// -----

func.func @sdpa_c3_length(%q: tensor<1x4x5x16xf32>, %k: tensor<1x4x7x16xf32>, %v: tensor<1x4x6x16xf32>) -> tensor<1x4x5x16xf32> {
  // expected-error @+1 {{expects the length of key and value to agree, but they are 7 and 6}}
  %o = attn.sdpa query(%q) key(%k) value(%v) {scale = 1.0 : f64}
     : (tensor<1x4x5x16xf32>, tensor<1x4x7x16xf32>, tensor<1x4x6x16xf32>) -> tensor<1x4x5x16xf32>
  return %o : tensor<1x4x5x16xf32>
}

// -----

func.func @sdpa_c4_bias(%q: tensor<1x4x5x16xf32>, %k: tensor<1x4x7x16xf32>, %b: tensor<1x3x5x7xf32>) -> tensor<1x4x5x16xf32> {
  // expected-error @+1 {{expects bias dim 1 (heads) to be 1 or 4, but it is 3}}
  %o = attn.sdpa query(%q) key(%k) value(%k) bias(%b) {scale = 1.0 : f64}
     : (tensor<1x4x5x16xf32>, tensor<1x4x7x16xf32>, tensor<1x4x7x16xf32>, tensor<1x3x5x7xf32>) -> tensor<1x4x5x16xf32>
  return %o : tensor<1x4x5x16xf32>
}

// -----

func.func @sdpa_c5_mask_type(%q: tensor<1x4x5x16xf32>, %k: tensor<1x4x7x16xf32>, %m: tensor<1x1x5x7xf32>) -> tensor<1x4x5x16xf32> {
  // expected-error @+1 {{expects mask to have element type i1, but it has 'f32'}}
  %o = attn.sdpa query(%q) key(%k) value(%k) mask(%m) {scale = 1.0 : f64}
     : (tensor<1x4x5x16xf32>, tensor<1x4x7x16xf32>, tensor<1x4x7x16xf32>, tensor<1x1x5x7xf32>) -> tensor<1x4x5x16xf32>
  return %o : tensor<1x4x5x16xf32>
}

// -----

func.func @sdpa_c5_mask_shape(%q: tensor<1x4x5x16xf32>, %k: tensor<1x4x7x16xf32>, %m: tensor<1x1x5x6xi1>) -> tensor<1x4x5x16xf32> {
  // expected-error @+1 {{expects mask dim 3 (keys) to be 1 or 7, but it is 6}}
  %o = attn.sdpa query(%q) key(%k) value(%k) mask(%m) {scale = 1.0 : f64}
     : (tensor<1x4x5x16xf32>, tensor<1x4x7x16xf32>, tensor<1x4x7x16xf32>, tensor<1x1x5x6xi1>) -> tensor<1x4x5x16xf32>
  return %o : tensor<1x4x5x16xf32>
}

// -----

func.func @sdpa_c6_result(%q: tensor<1x4x5x16xf32>, %k: tensor<1x4x7x16xf32>, %v: tensor<1x4x7x8xf32>) -> tensor<1x4x5x16xf32> {
  // expected-error @+1 {{expects result dim 3 to be 8, but it is 16}}
  %o = attn.sdpa query(%q) key(%k) value(%v) {scale = 1.0 : f64}
     : (tensor<1x4x5x16xf32>, tensor<1x4x7x16xf32>, tensor<1x4x7x8xf32>) -> tensor<1x4x5x16xf32>
  return %o : tensor<1x4x5x16xf32>
}

// -----

func.func @sdpa_c7_softcap(%q: tensor<1x4x5x16xf32>, %k: tensor<1x4x7x16xf32>) -> tensor<1x4x5x16xf32> {
  // expected-error @+1 {{expects a finite softcap of at least 0, but it is -1}}
  %o = attn.sdpa query(%q) key(%k) value(%k) {scale = 1.0 : f64, softcap = -1.0 : f64}
     : (tensor<1x4x5x16xf32>, tensor<1x4x7x16xf32>, tensor<1x4x7x16xf32>) -> tensor<1x4x5x16xf32>
  return %o : tensor<1x4x5x16xf32>
}

// -----

func.func @sdpa_c7_scale(%q: tensor<1x4x5x16xf32>, %k: tensor<1x4x7x16xf32>) -> tensor<1x4x5x16xf32> {
  // expected-error @+1 {{expects a finite scale}}
  %o = attn.sdpa query(%q) key(%k) value(%k) {scale = 0x7FF0000000000000 : f64}
     : (tensor<1x4x5x16xf32>, tensor<1x4x7x16xf32>, tensor<1x4x7x16xf32>) -> tensor<1x4x5x16xf32>
  return %o : tensor<1x4x5x16xf32>
}

// -----

func.func @sdpa_c8_from_end(%q: tensor<1x4x5x16xf32>, %k: tensor<1x4x7x16xf32>) -> tensor<1x4x5x16xf32> {
  // expected-error @+1 {{expects causal_offset or window_offset beside causal_from_end}}
  %o = attn.sdpa query(%q) key(%k) value(%k) {scale = 1.0 : f64, causal_from_end}
     : (tensor<1x4x5x16xf32>, tensor<1x4x7x16xf32>, tensor<1x4x7x16xf32>) -> tensor<1x4x5x16xf32>
  return %o : tensor<1x4x5x16xf32>
}

// -----

func.func @sdpa_c9_type(%q: tensor<1x4x5x16xf32>, %k: tensor<1x4x7x16xf32>, %s: tensor<1x4x1x1xf16>) -> tensor<1x4x5x16xf32> {
  // expected-error @+1 {{expects sink to have the element type of query ('f32') or the f32 of its sums, but it has 'f16'}}
  %o = attn.sdpa query(%q) key(%k) value(%k) sink(%s) {scale = 1.0 : f64}
     : (tensor<1x4x5x16xf32>, tensor<1x4x7x16xf32>, tensor<1x4x7x16xf32>, tensor<1x4x1x1xf16>) -> tensor<1x4x5x16xf32>
  return %o : tensor<1x4x5x16xf32>
}

// -----

func.func @sdpa_c9_rank(%q: tensor<1x4x5x16xf32>, %k: tensor<1x4x7x16xf32>, %s: tensor<4xf32>) -> tensor<1x4x5x16xf32> {
  // expected-error @+1 {{expects sink to have rank 4, but it has 1}}
  %o = attn.sdpa query(%q) key(%k) value(%k) sink(%s) {scale = 1.0 : f64}
     : (tensor<1x4x5x16xf32>, tensor<1x4x7x16xf32>, tensor<1x4x7x16xf32>, tensor<4xf32>) -> tensor<1x4x5x16xf32>
  return %o : tensor<1x4x5x16xf32>
}

// -----

func.func @sdpa_c9_heads(%q: tensor<1x4x5x16xf32>, %k: tensor<1x4x7x16xf32>, %s: tensor<1x2x1x1xf32>) -> tensor<1x4x5x16xf32> {
  // expected-error @+1 {{expects sink dim 1 (heads) to be 1 or 4, but it is 2}}
  %o = attn.sdpa query(%q) key(%k) value(%k) sink(%s) {scale = 1.0 : f64}
     : (tensor<1x4x5x16xf32>, tensor<1x4x7x16xf32>, tensor<1x4x7x16xf32>, tensor<1x2x1x1xf32>) -> tensor<1x4x5x16xf32>
  return %o : tensor<1x4x5x16xf32>
}

// -----

func.func @sdpa_c9_keys(%q: tensor<1x4x5x16xf32>, %k: tensor<1x4x7x16xf32>, %s: tensor<1x4x1x7xf32>) -> tensor<1x4x5x16xf32> {
  // expected-error @+1 {{expects sink dim 3 to be 1, but it is 7}}
  %o = attn.sdpa query(%q) key(%k) value(%k) sink(%s) {scale = 1.0 : f64}
     : (tensor<1x4x5x16xf32>, tensor<1x4x7x16xf32>, tensor<1x4x7x16xf32>, tensor<1x4x1x7xf32>) -> tensor<1x4x5x16xf32>
  return %o : tensor<1x4x5x16xf32>
}

// -----

func.func @sdpa_c10_mask_mean(%q: tensor<1x4x5x16xf32>, %k: tensor<1x4x7x16xf32>, %m: tensor<1x1x1x7xi1>) -> tensor<1x4x5x16xf32> {
  // expected-error @+1 {{expects empty_row mask_mean with mask and causal_offset or window_offset, without bias and sink}}
  %o = attn.sdpa query(%q) key(%k) value(%k) mask(%m) {scale = 1.0 : f64, empty_row = #attn.empty_row<mask_mean>}
     : (tensor<1x4x5x16xf32>, tensor<1x4x7x16xf32>, tensor<1x4x7x16xf32>, tensor<1x1x1x7xi1>) -> tensor<1x4x5x16xf32>
  return %o : tensor<1x4x5x16xf32>
}

// -----

func.func @sdpa_c10_either_mean(%q: tensor<1x4x5x16xf32>, %k: tensor<1x4x7x16xf32>) -> tensor<1x4x5x16xf32> {
  // expected-error @+1 {{expects empty_row either_mean with mask and causal_offset or window_offset, without bias and sink}}
  %o = attn.sdpa query(%q) key(%k) value(%k) {scale = 1.0 : f64, causal_offset = 0 : i64, empty_row = #attn.empty_row<either_mean>}
     : (tensor<1x4x5x16xf32>, tensor<1x4x7x16xf32>, tensor<1x4x7x16xf32>) -> tensor<1x4x5x16xf32>
  return %o : tensor<1x4x5x16xf32>
}

// -----

func.func @sdpa_c10_causal_mean(%q: tensor<1x4x5x16xf32>, %k: tensor<1x4x7x16xf32>, %m: tensor<1x1x1x7xi1>, %b: tensor<1x1x5x7xf32>) -> tensor<1x4x5x16xf32> {
  // expected-error @+1 {{expects empty_row causal_mean with causal_offset and mask or window_offset, without bias and sink}}
  %o = attn.sdpa query(%q) key(%k) value(%k) bias(%b) mask(%m) {scale = 1.0 : f64, causal_offset = 0 : i64, empty_row = #attn.empty_row<causal_mean>}
     : (tensor<1x4x5x16xf32>, tensor<1x4x7x16xf32>, tensor<1x4x7x16xf32>, tensor<1x1x5x7xf32>, tensor<1x1x1x7xi1>) -> tensor<1x4x5x16xf32>
  return %o : tensor<1x4x5x16xf32>
}
