// SPDX-License-Identifier: Apache-2.0

/// Convolutions are most of a manifest, so attributes that have their usual value are left out: strides and dilations of
/// one, no padding, one group, no activation.
extension Convolution {
    private enum CodingKeys: String, CodingKey {
        case kernel, strides, dilations, pads, groups, activation, residual
    }

    package func encode(to encoder: any Encoder) throws {
        let usual = Convolution(kernel: kernel)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(kernel, forKey: .kernel)
        if strides != usual.strides { try container.encode(strides, forKey: .strides) }
        if dilations != usual.dilations { try container.encode(dilations, forKey: .dilations) }
        if pads != usual.pads { try container.encode(pads, forKey: .pads) }
        if groups != usual.groups { try container.encode(groups, forKey: .groups) }
        if activation != usual.activation { try container.encode(activation, forKey: .activation) }
        try container.encodeIfPresent(residual, forKey: .residual)
    }
}
